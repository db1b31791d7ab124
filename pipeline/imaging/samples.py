"""Samples: what a decoder gives, at the file's own depth and in the file's own colours."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.raster import Pixels
from schemas.failures import FailureCode

Model = Literal["L", "RGB", "CMYK", "LAB"]
"""What channels mean, in Pillow's words."""
STRIP_ROWS = 64

_COLOUR: dict[str, tuple[str, Model]] = {
    "1": ("L", "L"),
    "L": ("L", "L"),
    "LA": ("LA", "L"),
    "La": ("LA", "L"),
    "P": ("RGB", "RGB"),
    "PA": ("RGBA", "RGB"),
    "RGB": ("RGB", "RGB"),
    "RGBA": ("RGBA", "RGB"),
    "RGBa": ("RGBA", "RGB"),
    "RGBX": ("RGB", "RGB"),
    "YCbCr": ("RGB", "RGB"),
    "CMYK": ("CMYK", "CMYK"),
    "LAB": ("LAB", "LAB"),
    "I;16": ("I;16", "L"),
    "I;16B": ("I;16B", "L"),
}
"""Decoded mode -> the mode whose bytes we take, and what its channels mean once alpha is taken off."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Decoded samples. `colour` is (height, width, channels of `model`), `alpha` (height, width) of the same dtype."""

    model: Model
    colour: Pixels
    alpha: Pixels | None = None


def samples_of(image: Image.Image) -> Samples:
    """The samples of a decoded picture. Raises `JobFailed` (image_format_unsupported) for numbers that are no colour:
    32-bit integers and floating point."""
    if image.mode not in _COLOUR:
        raise JobFailed(
            FailureCode.IMAGE_FORMAT_UNSUPPORTED, "source: samples must be integers of 1, 2, 4, 8 or 16 bits"
        )
    mode, model = _COLOUR[image.mode]
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    array = _array(image, mode)
    if array.ndim == 2:
        return Samples(model, (array if array.dtype == np.uint8 else array.astype(np.uint16))[..., None])
    if mode in ("LA", "RGBA"):
        return with_alpha(model, array)
    return Samples(model, array)


def _array(image: Image.Image, mode: str) -> Pixels:
    """All samples of `image` as `mode`."""
    # At once it takes several passes over fresh memory: ten times as long for 16 megapixels.
    image.load()
    parts = (np.asarray(strip if strip.mode == mode else strip.convert(mode)) for strip in strips(image))
    first = next(parts)
    array: Pixels = np.empty((image.height, *first.shape[1:]), dtype=first.dtype)
    for index, part in enumerate(chain((first,), parts)):
        array[index * STRIP_ROWS : index * STRIP_ROWS + STRIP_ROWS] = part
    return array


def strips(image: Image.Image) -> Iterator[Image.Image]:
    """`image` from top to bottom, `STRIP_ROWS` rows at a time."""
    for top in range(0, image.height, STRIP_ROWS):
        yield image.crop((0, top, image.width, min(top + STRIP_ROWS, image.height)))


def with_alpha(model: Model, pixels: Pixels) -> Samples:
    """Samples whose last channel is alpha."""
    return Samples(model, pixels[..., :-1].copy(), pixels[..., -1].copy())
