"""Likeness: how near one picture is to another, and how sharp it is. Pictures are (height, width, 3) uint8 RGB."""

import math
from functools import partial
from typing import cast

import numpy as np
import numpy.typing as npt

from pipeline.imaging.raster import Pixels

Plane = npt.NDArray[np.float64]

PEAK = 255
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue: ITU-R BT.601."""
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
"""Window and constants of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
structural similarity" (2004)."""


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio over all samples, dB; infinite when the pictures are equal."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim(one: Pixels, other: Pixels) -> float:
    """Structural similarity of the luma, at most 1: the mean over all windows that lie inside the picture.

    Raises `ValueError` when the picture is smaller than a window, 11 x 11.
    """
    if min(one.shape[:2]) <= 2 * SSIM_RADIUS:
        raise ValueError(f"picture: sides must be at least {2 * SSIM_RADIUS + 1}, got {one.shape[:2]}")
    blurred = partial(blur, sigma=SSIM_SIGMA, radius=SSIM_RADIUS)
    x, y = luma(one), luma(other)
    mean_x, mean_y = blurred(x), blurred(y)
    variance_x, variance_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + SSIM_C1) * (variance_x + variance_y + SSIM_C2))))


def sharpness(picture: Pixels) -> float:
    """Variance of the Laplacian of the luma, in squared steps: to be read as a ratio to that of another picture."""
    plane = luma(picture)
    middle = plane[1:-1, 1:-1]
    return float(np.var(plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:] - 4 * middle))


def luma(picture: Pixels) -> Plane:
    """(height, width) in 0..255."""
    return cast("Plane", picture.astype(np.float64) @ np.array(LUMA))


def blur(plane: Plane, *, sigma: float, radius: int) -> Plane:
    """Gaussian blur of (height, width); the result is smaller by `radius` on every side."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    return _along_rows(_along_rows(plane, taps).T, taps).T


def _along_rows(plane: Plane, taps: Plane) -> Plane:
    width = plane.shape[1] - len(taps) + 1
    return cast("Plane", sum(tap * plane[:, start : start + width] for start, tap in enumerate(taps)))
