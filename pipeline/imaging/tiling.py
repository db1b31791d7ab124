"""Tiling: a raster as the tiles a network takes, and back to a raster of the size that was asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.imaging import planes
from pipeline.imaging.planes import Planes
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import Size, resize
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import TilePlan, cut, plan


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """A raster cut up. Its tiles are views of it wherever they can be."""

    source: Raster
    plan: TilePlan
    """The same for every plane."""
    tiles: tuple[Pixels, ...]
    """(window_height, window_width, 3) each: the colour plane's, then the alpha plane's if it has one."""


def divide(raster: Raster, *, pad: int, sides: Sequence[int], multiple: int = 1) -> Tiling:
    """Cut every plane of `raster` into windows that begin and end at multiples of `multiple` pixels.

    Raises `JobFailed` (invalid_options) when no side leaves a core beside `pad`.
    """
    layout = plan(raster.height, raster.width, pad=pad, sides=sides, multiple=multiple)
    return Tiling(raster, layout, tuple(tile for plane in planes.split(raster).all for tile in cut(plane, layout)))


def assemble(tiling: Tiling, tiles: Sequence[Pixels], size: Size, *, native_scale: int) -> Raster:
    """Put upscaled `tiles` together and bring them from the network's `native_scale` to `size`."""
    count = len(tiling.plan.windows)
    stitched = [
        stitch(tiling.plan, tiles[start : start + count], native_scale) for start in range(0, len(tiles), count)
    ]
    raster = planes.join(tiling.source, Planes(stitched[0], stitched[1] if len(stitched) > 1 else None))
    return resize(raster, *size)
