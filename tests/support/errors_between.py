"""How far two pictures are apart, and saying so when it is too far."""

import math

import numpy as np

from pipeline.imaging.raster import Pixels


def assert_within(ours: Pixels, theirs: Pixels, steps: int) -> None:
    """Equal kind and shape, and no sample more than `steps` apart; the failure shows how the errors spread."""
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    error = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
    spread = dict(zip(*(part.tolist() for part in np.unique(error, return_counts=True)), strict=True))
    assert error.max() <= steps, f"max {error.max()}, mean {error.mean():.4f}, samples by error {spread}"


def psnr(ours: Pixels, theirs: Pixels) -> float:
    """Peak signal-to-noise ratio, dB; infinite when equal."""
    largest = float(np.iinfo(theirs.dtype).max)
    error = float(np.mean((ours.astype(np.float64) - theirs.astype(np.float64)) ** 2))
    return 10 * math.log10(largest**2 / error) if error else math.inf
