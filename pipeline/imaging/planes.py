"""Planes: what of a raster the network sees, and the raster that its answers make."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.imaging.raster import Pixels, Raster

LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)
"""ITU-R BT.601, the weights of upstream's grey conversion."""
STRIP_ROWS = 32
"""Rows converted at a time, so that intermediate values stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Pictures of shape (height, width, 3), each to be upscaled for itself."""

    colour: Pixels
    alpha: Pixels | None
    """None when the raster is opaque or its alpha is the same everywhere: the network has nothing to add to that."""

    @property
    def all(self) -> tuple[Pixels, ...]:
        return (self.colour,) if self.alpha is None else (self.colour, self.alpha)


def split(raster: Raster) -> Planes:
    """The planes of `raster`; a plane of one channel appears three times, as the network expects RGB."""
    alpha = raster.alpha
    varies = alpha is not None and bool((alpha != alpha[0, 0]).any())
    return Planes(rgb(raster.pixels), rgb(alpha[..., None]) if alpha is not None and varies else None)


def join(source: Raster, planes: Planes) -> Raster:
    """The raster that `source` became: its kind and metadata with the upscaled `planes`, which may be of any size."""
    pixels = grey(planes.colour)[..., None] if source.is_grey else planes.colour
    return replace(source, pixels=pixels, alpha=_alpha(source.alpha, planes))


def _alpha(source: Pixels | None, planes: Planes) -> Pixels | None:
    if planes.alpha is not None:
        return grey(planes.alpha)
    if source is None:
        return None
    return np.full(planes.colour.shape[:2], source[0, 0], dtype=source.dtype)


def rgb(plane: Pixels) -> Pixels:
    """A plane of one channel three times; one of three as it is."""
    return plane if plane.shape[2] == 3 else plane.repeat(3, axis=2)


def grey(plane: Pixels) -> Pixels:
    """The luma of a plane of three channels: (height, width), its dtype."""
    luma = np.empty(plane.shape[:2], dtype=plane.dtype)
    for top in range(0, plane.shape[0], STRIP_ROWS):
        strip = plane[top : top + STRIP_ROWS]
        luma[top : top + STRIP_ROWS] = np.rint(strip.astype(np.float32) @ LUMA)
    return luma
