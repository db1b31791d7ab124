"""A raster at another size."""

import numpy as np
import pytest

from pipeline.imaging.raster import Raster
from pipeline.imaging.resize import fitted_size, resize, target_size
from tests.support.images import make_pixels, make_raster


@pytest.mark.parametrize(
    ("scale", "expected"), [(4.0, (12, 20)), (1.5, (5, 8)), (0.5, (2, 3)), (0.01, (1, 1)), (1.33, (4, 7))]
)
def test_target_size_rounds_to_the_nearest_pixel(scale: float, expected: tuple[int, int]) -> None:
    """Sides are rounded, halves upwards, never truncated and never nothing."""
    assert target_size(3, 5, scale) == expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((600, None), (600, 200)),
        ((None, 200), (600, 200)),
        ((600, 600), (600, 200)),
        ((900, 200), (600, 200)),
        ((100, None), (100, 33)),
        ((50, None), (50, 17)),
        ((None, 33), (99, 33)),
        ((1, 1), (1, 1)),
        ((None, None), (300, 100)),
    ],
)
def test_fitted_size_keeps_proportions(bounds: tuple[int | None, int | None], expected: tuple[int, int]) -> None:
    """The tighter bound decides, the other side follows, and no side vanishes."""
    assert fitted_size(300, 100, *bounds) == expected


def test_resize_returns_the_same_raster_when_nothing_changes() -> None:
    """Not a sample is touched at the size it has."""
    raster = make_raster(6, 8, alpha=True)

    assert resize(raster, 8, 6) is raster


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_resize_keeps_the_kind_of_raster(*, depth: int, grey: bool, alpha: bool) -> None:
    """Channels, depth and alpha are those of the source; the size is the one asked for."""
    resized = resize(make_raster(20, 30, grey=grey, alpha=alpha, depth=depth), 17, 11)

    assert (resized.width, resized.height, resized.bit_depth) == (17, 11, depth)
    assert resized.is_grey is grey
    assert (resized.alpha is not None) is alpha


def test_resize_averages_out_what_it_cannot_show() -> None:
    """Stripes of one pixel shrunk to a quarter become even grey instead of false stripes."""
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255

    shrunk = resize(Raster(stripes), 16, 16).pixels

    assert shrunk[2:-2, 2:-2].std() < 1


@pytest.mark.parametrize("depth", [8, 16])
def test_resize_stays_within_range_beside_hard_edges(depth: int) -> None:
    """Lanczos overshoots at an edge; the overshoot is clamped, it does not wrap around."""
    largest = 2**depth - 1
    raster = make_raster(16, 16, depth=depth, pattern="checker")

    grown = resize(raster, 64, 64).pixels

    assert grown[3:13, 3:13].max() < largest / 4
    assert grown[3:13, 19:29].min() > largest * 3 / 4


@pytest.mark.parametrize("depth", [8, 16])
def test_resize_lets_no_hidden_colour_shine_through(depth: int) -> None:
    """White hidden under transparency beside visible black leaves no pale halo."""
    largest = 2**depth - 1
    pixels = make_pixels(32, 32, depth=depth, pattern="flat") * 0
    pixels[:, 16:] = largest
    alpha = np.full((32, 32), largest, dtype=pixels.dtype)
    alpha[:, 16:] = 0

    resized = resize(Raster(pixels, alpha), 20, 20)

    assert resized.pixels.max() == 0


@pytest.mark.parametrize("depth", [8, 16])
def test_resize_leaves_constant_alpha_exact(depth: int) -> None:
    """An alpha that is the same everywhere is the same everywhere afterwards, and does not touch colour."""
    pixels = make_pixels(16, 16, depth=depth)
    alpha = np.full((16, 16), 3, dtype=pixels.dtype)

    resized = resize(Raster(pixels, alpha), 8, 8)

    assert (resized.alpha == 3).all()
    assert np.array_equal(resized.pixels, resize(Raster(pixels), 8, 8).pixels)
