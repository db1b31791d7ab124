"""No seam, no gap, no overlap error, whatever the size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.imaging.planes import Planes, join, split
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import cut, plan
from tests.support.images import make_pixels, make_raster, nearest

SIDES = st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True).map(sorted)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 12), SIDES, st.integers(1, 4))
def test_tiling_is_the_identity_for_a_network_that_repeats_pixels(
    height: int, width: int, pad: int, sides: list[int], scale: int
) -> None:
    """Cut, upscale each tile, stitch: the same as upscaling the whole; every core keeps its context."""
    plane = make_pixels(height, width)
    try:
        tiles = plan(height, width, pad=pad, sides=sides)
    except JobFailed:
        assert any(length > max(sides) for length in (height, width))
        assert max(sides) <= 2 * pad
        return

    upscaled = [nearest(tile, scale) for tile in cut(plane, tiles)]

    assert np.array_equal(stitch(tiles, upscaled, scale), nearest(plane, scale))
    for window in tiles.windows:
        assert window.top == 0 or window.core_top - window.top >= pad
        assert window.left == 0 or window.core_left - window.left >= pad
        assert window.top + tiles.window_height >= height or (
            window.top + tiles.window_height - window.core_bottom >= pad
        )
        assert window.left + tiles.window_width >= width or window.left + tiles.window_width - window.core_right >= pad


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.booleans(), st.sampled_from([8, 16]))
def test_planes_carry_every_kind_of_raster(height: int, width: int, grey: bool, alpha: bool, depth: int) -> None:
    """Split, upscale each plane, join: the upscaled raster, with the channels, alpha and depth of the source."""
    raster = make_raster(height, width, grey=grey, alpha=alpha, depth=depth)
    planes = split(raster)

    joined = join(raster, Planes(nearest(planes.colour, 2), None if planes.alpha is None else nearest(planes.alpha, 2)))

    assert np.array_equal(joined.pixels, nearest(raster.pixels, 2))
    if raster.alpha is None:
        assert joined.alpha is None
    else:
        assert np.array_equal(joined.alpha, nearest(raster.alpha, 2))
