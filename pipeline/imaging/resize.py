"""Resize: a raster at the scale that was asked, when the network's own is another."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.imaging.raster import Pixels, Raster

Samples = npt.NDArray[np.float32]
Size = tuple[int, int]
"""Width and height, pixels."""


def target_size(width: int, height: int, scale: float) -> Size:
    """Width and height at `scale`, each rounded to the nearest pixel (halves up) and at least 1."""
    return _scaled(width, scale), _scaled(height, scale)


def fitted_size(width: int, height: int, widest: int | None, highest: int | None) -> Size:
    """The largest size of the picture's proportions that is no wider than `widest` and no higher than `highest`.

    One of the two is met exactly; the other side is rounded to the nearest pixel (halves up) and at least 1. None
    bounds nothing; without any bound it is the size that the picture has.
    """
    if widest is not None and (highest is None or widest * height <= highest * width):
        return widest, _in_proportion(height, widest, width)
    if highest is not None:
        return _in_proportion(width, highest, height), highest
    return width, height


def resize(raster: Raster, width: int, height: int) -> Raster:
    """`raster` at exactly `width` x `height` by antialiased Lanczos; the same object when it has that size already.

    Upstream's Lanczos does not antialias when shrinking; this one does. Where alpha varies, colour is weighted by it,
    so that what lies hidden under transparent pixels does not shine through; under wholly transparent pixels of the
    result the colour is black.
    """
    if (raster.width, raster.height) == (width, height):
        return raster
    alpha = raster.alpha
    if alpha is None:
        return replace(raster, pixels=_each_channel(raster.pixels, width, height))
    if (alpha == alpha[0, 0]).all():
        constant = np.full((height, width), alpha[0, 0], dtype=alpha.dtype)
        return replace(raster, pixels=_each_channel(raster.pixels, width, height), alpha=constant)
    pixels, resized = _weighted(raster.pixels, alpha, width, height)
    return replace(raster, pixels=pixels, alpha=resized)


def _scaled(side: int, scale: float) -> int:
    return max(1, math.floor(side * scale + 0.5))


def _in_proportion(side: int, numerator: int, denominator: int) -> int:
    """In integers: a float may fall on the wrong side of a half."""
    return max(1, (2 * side * numerator + denominator) // (2 * denominator))


def _each_channel(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.dtype == np.uint8:
        return _bytes(pixels, width, height)
    result = np.empty((height, width, pixels.shape[2]), dtype=pixels.dtype)
    for channel in range(pixels.shape[2]):
        result[..., channel] = _rounded(_floats(pixels[..., channel].astype(np.float32), width, height), pixels.dtype)
    return result


def _weighted(pixels: Pixels, alpha: Pixels, width: int, height: int) -> tuple[Pixels, Pixels]:
    weight = alpha.astype(np.float32)
    resized_weight = _floats(weight, width, height)
    visible = _rounded(resized_weight, alpha.dtype)
    divisor = np.where(visible > 0, resized_weight, np.inf).astype(np.float32)
    result = np.empty((height, width, pixels.shape[2]), dtype=pixels.dtype)
    for channel in range(pixels.shape[2]):
        colour = _floats(pixels[..., channel].astype(np.float32) * weight, width, height)
        result[..., channel] = _rounded(colour / divisor, pixels.dtype)
    return result, visible


def _bytes(pixels: Pixels, width: int, height: int) -> Pixels:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    return resized.reshape(height, width, pixels.shape[2])


def _floats(plane: Samples, width: int, height: int) -> Samples:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS))


def _rounded(plane: Samples, dtype: npt.DTypeLike) -> Pixels:
    rounded: Pixels = np.clip(np.rint(plane), 0, np.iinfo(dtype).max).astype(dtype)
    return rounded
