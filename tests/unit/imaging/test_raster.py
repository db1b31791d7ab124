"""A raster holds what it says, or is not made."""

import numpy as np
import pytest

from pipeline.imaging.raster import Raster, interleaved
from tests.support.images import make_pixels


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (4, 5, 4), (0, 5, 3), (4, 0, 1)])
def test_raster_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    """Pixels are (height, width, 1 or 3) and not empty."""
    with pytest.raises(ValueError, match="pixels: shape"):
        Raster(np.zeros(shape, dtype=np.uint8))


def test_raster_refuses_other_numbers() -> None:
    """Samples have 8 or 16 bits."""
    with pytest.raises(ValueError, match="pixels: dtype"):
        Raster(np.zeros((4, 5, 3), dtype=np.float32))


@pytest.mark.parametrize("alpha", [np.zeros((5, 4), np.uint8), np.zeros((4, 5), np.uint16)])
def test_raster_refuses_alpha_that_does_not_match(alpha: np.ndarray) -> None:
    """Alpha has the size and the depth of the pixels."""
    with pytest.raises(ValueError, match="alpha: must be uint8"):
        Raster(make_pixels(4, 5), alpha)


def test_interleaved_puts_alpha_last() -> None:
    """The channels in front stay as they are."""
    pixels, alpha = make_pixels(4, 5), make_pixels(4, 5, 1)[..., 0]

    together = interleaved(pixels, alpha)

    assert np.array_equal(together[..., :3], pixels)
    assert np.array_equal(together[..., 3], alpha)
