"""Pictures for tests, made by rule or by seed."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.imaging.raster import Pixels, Raster

Pattern = Literal["noise", "gradient", "checker", "flat"]


def make_pixels(height: int, width: int, channels: int = 3, *, depth: int = 8, pattern: Pattern = "noise") -> Pixels:
    """Samples of shape (height, width, channels) that use the whole range of `depth` bits (8 or 16)."""
    largest = 2**depth - 1
    samples = _PATTERNS[pattern](height, width, channels) * largest
    pixels: Pixels = samples.astype(np.uint8 if depth == 8 else np.uint16)
    return pixels


def make_raster(
    height: int, width: int, *, grey: bool = False, alpha: bool = False, depth: int = 8, pattern: Pattern = "noise"
) -> Raster:
    """A raster of the kind asked for; equal arguments give equal samples."""
    samples = make_pixels(height, width, 1 if grey else 3, depth=depth, pattern=pattern)
    return Raster(samples, make_pixels(width, height, 1, depth=depth, pattern=pattern)[..., 0].T if alpha else None)


def nearest(plane: Pixels, scale: int) -> Pixels:
    """Every pixel repeated `scale` times in both directions."""
    return plane.repeat(scale, axis=0).repeat(scale, axis=1)


def _noise(height: int, width: int, channels: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(height * 7919 + width * 31 + channels).random((height, width, channels)) * 1.0


def _gradient(height: int, width: int, channels: int) -> npt.NDArray[np.float64]:
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(0, 1, width)[None, :, None]
    return (down * np.linspace(0, 1, channels) + across * np.linspace(1, 0, channels)) * np.ones((1, 1, channels)) / 2


def _checker(height: int, width: int, channels: int) -> npt.NDArray[np.float64]:
    squares = (np.arange(height)[:, None] // 4 + np.arange(width)[None, :] // 4) % 2
    return np.repeat(squares[..., None], channels, axis=2).astype(np.float64)


def _flat(height: int, width: int, channels: int) -> npt.NDArray[np.float64]:
    return np.full((height, width, channels), 0.5)


_PATTERNS = {"noise": _noise, "gradient": _gradient, "checker": _checker, "flat": _flat}
