"""Where windows lie and what they hold."""

import numpy as np
import pytest

from pipeline.errors import JobFailed
from pipeline.imaging.tile import cut, plan
from schemas.failures import FailureCode
from tests.support.images import make_pixels


def test_plan_uses_one_window_when_the_picture_fits_a_side() -> None:
    """A picture as large as a side needs no context and no second window."""
    tiles = plan(96, 96, pad=32, sides=(64, 96, 160))

    assert (tiles.window_height, tiles.window_width, len(tiles.windows)) == (96, 96, 1)


def test_plan_lets_each_axis_choose_its_own_side() -> None:
    """A flat picture takes a low, wide window instead of a square one."""
    tiles = plan(60, 150, pad=8, sides=(64, 96, 160))

    assert (tiles.window_height, tiles.window_width) == (64, 160)


def test_plan_wastes_the_fewest_window_pixels() -> None:
    """300 pixels: two windows of 160 (320) beat one of 416 and four of 96 (384)."""
    tiles = plan(300, 300, pad=8, sides=(96, 160, 416))

    assert (tiles.window_height, tiles.window_width, len(tiles.windows)) == (160, 160, 4)


def test_plan_prefers_fewer_windows_when_the_waste_is_equal() -> None:
    """One window of 200 and two of 100 cost the same; one launch slot is cheaper than two."""
    tiles = plan(200, 1, pad=0, sides=(1, 100, 200))

    assert (tiles.window_height, len(tiles.windows)) == (200, 1)


def test_plan_ends_the_last_window_at_the_border() -> None:
    """Windows near the border are shifted inwards, never past it."""
    tiles = plan(100, 230, pad=10, sides=(100,))

    assert max(window.left + tiles.window_width for window in tiles.windows) == 230


def test_plan_gives_every_core_its_context() -> None:
    """Between a core and an edge of its window inside the picture lie at least `pad` pixels."""
    tiles = plan(100, 1000, pad=10, sides=(100,))

    for window in tiles.windows:
        assert window.left == 0 or window.core_left - window.left >= 10
        assert window.left + 100 == 1000 or window.left + 100 - window.core_right >= 10


def test_plan_skips_sides_without_a_core_for_axes_it_must_split() -> None:
    """A side of twice the pad has no core left; the next one is taken."""
    tiles = plan(500, 500, pad=32, sides=(32, 64, 96))

    assert (tiles.window_height, tiles.window_width) == (96, 96)


def test_plan_names_the_limit_when_no_side_has_a_core() -> None:
    """The caller learns which option, which least value and what was given."""
    with pytest.raises(JobFailed) as failed:
        plan(500, 20, pad=32, sides=(32, 64))

    assert failed.value.code is FailureCode.INVALID_OPTIONS
    assert failed.value.details == {"field": "tile_size", "limit": 65, "value": 64}


def test_plan_rounds_sides_down_and_context_up_to_whole_blocks() -> None:
    """A side that is no multiple is not exceeded, and the context is never less than what was asked for."""
    tiles = plan(300, 300, pad=9, sides=(95,), multiple=8)

    assert (tiles.window_height, tiles.window_width) == (88, 88)
    assert min(window.core_left - window.left for window in tiles.windows if window.left) >= 16


def test_plan_keeps_one_block_where_the_side_is_less() -> None:
    """A side of 1 is a side of 2 for a network that folds two pixels into one."""
    assert plan(2, 2, pad=0, sides=(1,), multiple=2).window_height == 2


def test_cut_extends_a_picture_that_ends_within_a_block() -> None:
    """As upstream does for its x2 network: one more row and column, mirrored; only the last windows are copied."""
    plane = make_pixels(41, 71)

    tiles = cut(plane, plan(41, 71, pad=4, sides=(32,), multiple=2))

    assert np.array_equal(tiles[-1][-1, :-1], plane[39, -31:])
    assert np.array_equal(tiles[-1][:-1, -1], plane[-31:, 69])
    assert np.shares_memory(tiles[0], plane)


def test_cut_gives_views_when_nothing_is_extended() -> None:
    """No sample is copied for a picture that fills its windows."""
    plane = make_pixels(40, 70)

    tiles = cut(plane, plan(40, 70, pad=4, sides=(40,)))

    assert all(np.shares_memory(tile, plane) for tile in tiles)


def test_cut_extends_a_small_picture_by_reflection() -> None:
    """The extension mirrors the picture about its last row and column, again and again."""
    plane = make_pixels(5, 3)

    (tile,) = cut(plane, plan(5, 3, pad=0, sides=(16,)))

    assert np.array_equal(tile, np.pad(plane, ((0, 11), (0, 13), (0, 0)), mode="reflect"))


def test_cut_repeats_a_single_pixel() -> None:
    """A picture of one pixel has nothing to mirror and becomes flat."""
    plane = make_pixels(1, 1)

    (tile,) = cut(plane, plan(1, 1, pad=16, sides=(32,)))

    assert tile.shape == (32, 32, 3)
    assert (tile == plane).all()


def test_cut_refuses_a_plane_of_another_size() -> None:
    """A plan fits one size of picture only."""
    with pytest.raises(ValueError, match="plan is for"):
        cut(make_pixels(5, 5), plan(5, 6, pad=0, sides=(16,)))
