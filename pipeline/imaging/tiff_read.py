"""A TIFF file -> samples of its first page, at their full depth where Pillow can be made to keep it."""

import io
import sys

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from pipeline.imaging.halves import byte_pairs
from pipeline.imaging.raster import Pixels
from pipeline.imaging.samples import Samples, samples_of, with_alpha
from pipeline.imaging.tiff import Page

_COLOUR_RAW_MODES = ("RGB;16", "RGBX;16", "RGBA;16")
"""16-bit colour that the decoder passes through unchanged but for the byte it drops."""


def read(image: TiffImageFile, data: bytes, page: Page) -> tuple[Samples, bool]:
    """The samples, upright (the decoder turns TIFF itself), and whether 16 bits had to be reduced to 8.

    `image` is `data` opened and not yet loaded.
    """
    if page.depth < 16:
        return samples_of(image), False
    args = image.tile[0].args
    raw_mode = str(args[0]) if args else ""
    if raw_mode.startswith(_COLOUR_RAW_MODES):
        return _colour(data, raw_mode), False
    if not image.mode.startswith("I;16"):
        return samples_of(image), True
    samples = samples_of(image)
    # The decoder honours "white is zero" at all depths but this one.
    return (Samples(samples.model, ~samples.colour) if page.white_is_zero else samples), False


def _colour(data: bytes, raw_mode: str) -> Samples:
    order = {"L": "little", "B": "big", "N": sys.byteorder}[raw_mode[-1]]
    pairs = byte_pairs(lambda: TiffImageFile(io.BytesIO(data)))
    pixels: Pixels = pairs.view("<u2" if order == "little" else ">u2")[..., 0].astype(np.uint16)
    return Samples("RGB", pixels) if pixels.shape[2] == 3 else with_alpha("RGB", pixels)
