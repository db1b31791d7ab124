"""TilePlan: where each window of a picture lies, and cutting it.

All windows of one picture have one size, so that they share a batch with those of other pictures. A window near the
border is shifted inwards; a picture smaller than a window is extended by reflection.

A network may fold several pixels into one, or look at them in blocks. Its windows then begin and end between blocks, so
that a block is the same in whichever window it lies; a picture that ends within one is extended by reflection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from pipeline.errors import JobFailed
from pipeline.imaging.raster import Pixels
from schemas.failures import FailureCode


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a plan, in source pixels of the (possibly extended) plane."""

    top: int
    left: int
    core_top: int
    core_left: int
    core_bottom: int
    core_right: int
    """The part of the picture this window decides: the cores of a plan cover the picture exactly once."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Where the windows of a picture lie."""

    height: int
    width: int
    """The picture's own size."""
    window_height: int
    window_width: int
    pad: int
    """Least context, in source pixels, between a core and any edge of its window that lies inside the picture."""
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class _Span:
    """One window along one axis."""

    start: int
    core_start: int
    core_stop: int


def plan(height: int, width: int, *, pad: int, sides: Sequence[int], multiple: int = 1) -> TilePlan:
    """Cover a picture of `height` x `width` with windows whose sides are taken from `sides`, wasting least.

    Sides are rounded down to multiples of `multiple`, `pad` is rounded up, and every window begins at a multiple. Among
    the sides (ascending) the pair with the fewest window pixels in total wins, then the one with the fewest windows.
    Raises `JobFailed` (invalid_options) when no side can cover an axis with `pad` pixels of context.
    """
    pad = _up(pad, multiple)
    sides = [max(side // multiple, 1) * multiple for side in sides]
    # The total is a product with one factor for each axis, so that each axis may choose alone.
    window_height = _best_side(_up(height, multiple), pad, sides)
    window_width = _best_side(_up(width, multiple), pad, sides)
    rows = _spans(height, window_height, pad, multiple)
    columns = _spans(width, window_width, pad, multiple)
    windows = tuple(
        Window(row.start, column.start, row.core_start, column.core_start, row.core_stop, column.core_stop)
        for row, column in product(rows, columns)
    )
    return TilePlan(height, width, window_height, window_width, pad, windows)


def cut(plane: Pixels, tiles: TilePlan) -> tuple[Pixels, ...]:
    """The windows' pixels, (window_height, window_width, 3) each, views where no extension is needed.

    `plane` has shape (tiles.height, tiles.width, 3). Extension is on the right and at the bottom, as upstream's.
    """
    if plane.shape[:2] != (tiles.height, tiles.width):
        raise ValueError(f"plane: the plan is for {(tiles.height, tiles.width)}, got {plane.shape[:2]}")
    return tuple(_cut(plane, window, tiles) for window in tiles.windows)


def _cut(plane: Pixels, window: Window, tiles: TilePlan) -> Pixels:
    rows = _indices(window.top, tiles.window_height, tiles.height)
    columns = _indices(window.left, tiles.window_width, tiles.width)
    return plane[rows][:, columns]


def _indices(start: int, side: int, length: int) -> slice | npt.NDArray[np.intp]:
    """Which rows or columns of a picture a window holds."""
    stop = start + side
    return slice(start, stop) if stop <= length else _reflected(length, stop)[start:]


def _best_side(length: int, pad: int, sides: Sequence[int]) -> int:
    usable = [side for side in sides if length <= side or side > 2 * pad]
    if not usable:
        raise JobFailed(
            FailureCode.INVALID_OPTIONS,
            f"tile_size: must exceed twice the context of {pad} pixels to cover {length} pixels, got {max(sides)}",
            {"field": "tile_size", "limit": 2 * pad + 1, "value": max(sides)},
        )

    def cost(side: int) -> tuple[int, int]:
        count = _count(length, side, pad)
        return count * side, count

    return min(usable, key=cost)


def _count(length: int, side: int, pad: int) -> int:
    """Windows needed: neighbours overlap by two pads, the picture's own border needs none."""
    return 1 if length <= side else -(-(length - 2 * pad) // (side - 2 * pad))


def _spans(length: int, side: int, pad: int, multiple: int) -> list[_Span]:
    """Counted in blocks of `multiple` pixels, which `side` and `pad` are made of; the last may hang over the end."""
    blocks, of_side = _up(length, multiple) // multiple, side // multiple
    count = _count(blocks, of_side, pad // multiple)
    starts = [index * (blocks - of_side) // (count - 1) for index in range(count)] if count > 1 else [0]
    # Half of the overlap on either side: no neighbour's context is shorter than the other's by more than a block.
    borders = [0, *((start + of_side + following) // 2 for start, following in pairwise(starts)), blocks]
    return [
        _Span(start * multiple, core_start * multiple, min(core_stop * multiple, length))
        for start, (core_start, core_stop) in zip(starts, pairwise(borders), strict=True)
    ]


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _reflected(length: int, target: int) -> npt.NDArray[np.intp]:
    """Indices 0, 1, ... length-1, length-2, ... 1, 0, 1, ... up to `target` of them; all 0 for a single pixel."""
    period = max(2 * (length - 1), 1)
    position = np.arange(target) % period
    return np.minimum(position, period - position) if length > 1 else np.zeros(target, dtype=np.intp)
