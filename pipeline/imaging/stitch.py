"""Stitch: a plan and its upscaled tiles become one plane."""

from collections.abc import Sequence

import numpy as np

from pipeline.imaging.raster import Pixels
from pipeline.imaging.tile import TilePlan, Window


def stitch(plan: TilePlan, tiles: Sequence[Pixels], scale: int) -> Pixels:
    """The plane of shape (plan.height * scale, plan.width * scale, 3), each pixel taken from the one core it lies in.

    `tiles` are the upscaled windows in the order of `plan.windows`, (window_height * scale, window_width * scale, 3)
    each. Raises `ValueError` for a tile that is missing, surplus or of another shape: nothing is papered over.
    """
    if len(tiles) != len(plan.windows):
        raise ValueError(f"tiles: the plan has {len(plan.windows)} windows, got {len(tiles)} tiles")
    expected = (plan.window_height * scale, plan.window_width * scale, 3)
    plane = np.empty((plan.height * scale, plan.width * scale, 3), dtype=tiles[0].dtype)
    for window, tile in zip(plan.windows, tiles, strict=True):
        if tile.shape != expected or tile.dtype != plane.dtype:
            raise ValueError(f"tile: must be {plane.dtype} of shape {expected}, got {tile.dtype} of {tile.shape}")
        _place(plane, window, tile, scale)
    return plane


def _place(plane: Pixels, window: Window, tile: Pixels, scale: int) -> None:
    rows = slice(window.core_top * scale, window.core_bottom * scale)
    columns = slice(window.core_left * scale, window.core_right * scale)
    top, left = window.top * scale, window.left * scale
    plane[rows, columns] = tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
