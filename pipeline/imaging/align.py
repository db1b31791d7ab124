"""Align: a face turned upright and brought to the size that the networks for faces take, and the way back.

Template, transform and border are facexlib's.
"""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.imaging import planes
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels, Raster

Affine = npt.NDArray[np.float64]
"""Shape (2, 3): (x, y, 1) of one picture to (x, y) of another."""

SIDE = 512
"""Of a crop, pixels."""
TEMPLATE = np.array(
    (
        (192.98138, 239.94708),
        (318.90277, 240.1936),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    )
)
"""Where the landmarks lie in a crop; upstream's, from the faces of FFHQ."""
BESIDE = np.array((132, 133, 135))
"""RGB of what lies outside the picture, of 255; upstream's grey, which is given as BGR there."""
REACH = 2
"""Pixels around a crop's corners that its interpolation may read."""


def aligning(face: Face) -> Affine | None:
    """From the picture to the crop: the turn, scale and shift that bring the landmarks nearest to the template.

    None when there is no such thing, as for landmarks that all lie in one place.
    """
    landmarks = np.array(face.landmarks, dtype=np.float32)
    found = cast("Affine | None", cv2.estimateAffinePartial2D(landmarks, TEMPLATE, method=cv2.LMEDS)[0])
    if found is None or not np.isfinite(found).all() or np.linalg.det(found[:, :2]) < np.finfo(np.float32).tiny:
        return None
    return found


def crop(raster: Raster, affine: Affine) -> Pixels:
    """The face that `affine` aligns, (512, 512, 3) in the dtype of `raster`, bilinear as upstream's."""
    beside = BESIDE * (np.iinfo(raster.pixels.dtype).max // 255)
    border = (float(beside @ planes.LUMA),) if raster.is_grey else tuple(float(sample) for sample in beside)
    face = cv2.warpAffine(raster.pixels, affine, (SIDE, SIDE), borderMode=cv2.BORDER_CONSTANT, borderValue=border)
    return planes.rgb(cast("Pixels", face).reshape(SIDE, SIDE, -1))


def inverted(affine: Affine) -> Affine:
    """The way back."""
    return cast("Affine", cv2.invertAffineTransform(affine))


def reached(affine: Affine, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a crop covers of a picture of `width` x `height`; `affine` leads from the
    crop to the picture. Empty when it lies outside."""
    corners = np.array(((0, 0, 1), (SIDE, 0, 1), (0, SIDE, 1), (SIDE, SIDE, 1))) @ affine.T
    low, high = np.floor(corners.min(axis=0)) - REACH, np.ceil(corners.max(axis=0)) + REACH
    left, top = (int(side) for side in np.clip(low, 0, (width, height)))
    right, bottom = (int(side) for side in np.clip(high, (left, top), (width, height)))
    return left, top, max(left, right), max(top, bottom)
