"""Tiles become a plane."""

import numpy as np
import pytest

from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import cut, plan
from tests.support.images import make_pixels, nearest


def test_stitch_takes_each_core_from_its_own_tile() -> None:
    """With tiles of one value each, every core shows its own tile's value."""
    tiles = plan(90, 100, pad=5, sides=(40,))
    flat = [np.full((80, 80, 3), number, dtype=np.uint8) for number in range(len(tiles.windows))]

    plane = stitch(tiles, flat, 2)

    for number, window in enumerate(tiles.windows):
        rows = slice(2 * window.core_top, 2 * window.core_bottom)
        assert (plane[rows, 2 * window.core_left : 2 * window.core_right] == number).all()


def test_stitch_keeps_sixteen_bits() -> None:
    """Nothing is rounded to eight bits on the way."""
    plane = make_pixels(30, 50, depth=16)
    tiles = plan(30, 50, pad=3, sides=(24,))

    assert np.array_equal(stitch(tiles, [nearest(tile, 3) for tile in cut(plane, tiles)], 3), nearest(plane, 3))


def test_stitch_refuses_a_missing_tile() -> None:
    """A picture with a hole is never made."""
    tiles = plan(30, 50, pad=3, sides=(24,))

    with pytest.raises(ValueError, match="tiles: the plan has"):
        stitch(tiles, cut(make_pixels(30, 50), tiles)[:-1], 1)


@pytest.mark.parametrize("wrong", [np.zeros((24, 23, 3), np.uint8), np.zeros((24, 24, 3), np.uint16)])
def test_stitch_refuses_a_tile_of_another_kind(wrong: np.ndarray) -> None:
    """One tile of another shape or depth fails the picture instead of being squeezed in."""
    tiles = plan(30, 50, pad=3, sides=(24,))
    upscaled = [*cut(make_pixels(30, 50), tiles)[:-1], wrong]

    with pytest.raises(ValueError, match="tile: must be uint8"):
        stitch(tiles, upscaled, 1)
