"""A good photograph -> the poor one that a network is given: blurred, reduced, and compressed. Pure."""

import io
import math

import numpy as np
from PIL import Image

from pipeline.imaging.likeness import blur
from pipeline.imaging.raster import Pixels

FACTOR = 4
BLUR_SIGMA = 1.2
JPEG_QUALITY = 60


def degraded(picture: Pixels) -> Pixels:
    """(height, width, 3) uint8, both multiples of 4 -> a quarter of each side.

    Gaussian blur, the mean of each 4 x 4 pixels, and a JPEG file: what a small camera does, and milder than what
    Real-ESRGAN was trained to undo.
    """
    radius = math.ceil(4 * BLUR_SIGMA)
    padded = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="reflect").astype(np.float64)
    soft = np.stack([blur(padded[..., each], sigma=BLUR_SIGMA, radius=radius) for each in range(3)], axis=-1)
    height, width = (side // FACTOR for side in picture.shape[:2])
    small = soft.reshape(height, FACTOR, width, FACTOR, 3).mean(axis=(1, 3))
    return compressed(np.rint(small).astype(np.uint8))


def compressed(picture: Pixels) -> Pixels:
    """The picture after a JPEG file of quality 60, colour at half resolution."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    with Image.open(file) as image:
        return np.asarray(image, dtype=np.uint8)
