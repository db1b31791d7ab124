"""No seam, no gap, no overlap error, whatever the size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.imaging.planes import Planes, join, split
from pipeline.imaging.raster import Pixels
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import cut, plan
from tests.support.images import make_pixels, make_raster, nearest

SIDES = st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True).map(sorted)


MULTIPLES = st.sampled_from([1, 1, 2, 3, 4, 8])


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 12), SIDES, st.integers(1, 4), MULTIPLES)
def test_tiling_is_the_identity_for_a_network_that_repeats_pixels(
    height: int, width: int, pad: int, sides: list[int], scale: int, multiple: int
) -> None:
    """Cut, upscale each tile, stitch: the same as upscaling the whole; every core keeps its context."""
    plane = make_pixels(height, width)
    try:
        tiles = plan(height, width, pad=pad, sides=sides, multiple=multiple)
    except JobFailed:
        largest = max(max(sides) // multiple, 1)
        assert any(length > largest * multiple for length in (height, width))
        assert largest <= 2 * -(-pad // multiple)
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


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 12), SIDES, MULTIPLES)
def test_windows_begin_and_end_between_a_networks_blocks(
    height: int, width: int, pad: int, sides: list[int], multiple: int
) -> None:
    """Whatever the picture and the sides asked for; no window is longer than the longest of them, unless one block is.

    So a network that mixes the pixels of a block gives the same tiled and whole, if it sees the same beyond the end.
    """
    try:
        tiles = plan(height, width, pad=pad, sides=sides, multiple=multiple)
    except JobFailed:
        return

    assert (tiles.window_height % multiple, tiles.window_width % multiple) == (0, 0)
    assert max(tiles.window_height, tiles.window_width) <= max(multiple, *sides)
    for window in tiles.windows:
        assert (window.top % multiple, window.left % multiple) == (0, 0)
        assert window.top + tiles.window_height <= max(tiles.window_height, height + multiple - 1)
        assert window.left + tiles.window_width <= max(tiles.window_width, width + multiple - 1)
    whole = extended(make_pixels(height, width), multiple)
    upscaled = [averaged(tile, multiple) for tile in cut(make_pixels(height, width), tiles)]
    assert np.array_equal(stitch(tiles, upscaled, 1), averaged(whole, multiple)[:height, :width])


def extended(plane: Pixels, multiple: int) -> Pixels:
    """The plane to whole blocks, reflected as a window of one block more would have it."""
    height, width = (-(-length // multiple) * multiple for length in plane.shape[:2])
    (whole,) = cut(plane, plan(*plane.shape[:2], pad=0, sides=(max(height, width),), multiple=multiple))
    return whole[:height, :width]


def averaged(plane: Pixels, multiple: int) -> Pixels:
    """Every block of a plane becomes its mean."""
    height, width, channels = plane.shape
    blocks = plane.reshape(height // multiple, multiple, width // multiple, multiple, channels)
    means = blocks.mean(axis=(1, 3), keepdims=True)
    return np.broadcast_to(means, blocks.shape).reshape(plane.shape).astype(plane.dtype)


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
