"""TilePlan: where each window of a picture lies, and cutting it.

All windows of one picture have one size, so that they share a batch with those of other pictures. A window near the
border is shifted inwards; a picture smaller than a window is extended by reflection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.imaging.raster import Pixels


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


def plan(height: int, width: int, *, pad: int, sides: Sequence[int]) -> TilePlan:
    """Cover a picture of `height` x `width` with windows whose sides are taken from `sides`, wasting least."""
    raise NotImplementedError


def cut(plane: Pixels, tiles: TilePlan) -> tuple[Pixels, ...]:
    """The windows' pixels, (window_height, window_width, 3) each, views where no extension is needed."""
    raise NotImplementedError
