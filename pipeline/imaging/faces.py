"""Faces: where they are in a picture, which of them are restored, and the view they are looked for in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from pipeline.imaging import planes
from pipeline.imaging.raster import Pixels, Raster
from schemas.options import FaceOptions

Point = tuple[float, float]
"""x and y in pixels."""

MOST_FACES = 64
"""Of one picture, for a picture may be nothing but faces: restoring as many costs as much as x4plus does for one and a
half megapixels, and takes 150 MB, at 16 bits twice that."""
LARGEST_VIEW: int = 1600 * 2150
"""Pixels that faces are looked for in: the size that facexlib's own transform brings pictures to. GFPGANer looks at all
pixels, whatever that takes; below this size so do we."""


@dataclass(frozen=True, slots=True)
class Face:
    """One face that was found."""

    box: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels; it may reach beyond the picture."""
    score: float
    """How sure the network is, 0 to 1."""
    landmarks: tuple[Point, Point, Point, Point, Point]
    """Left eye, right eye, nose, left and right corner of the mouth, as the viewer sees them."""

    @property
    def longer_side(self) -> float:
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def eye_distance(self) -> float:
        return math.dist(self.landmarks[0], self.landmarks[1])

    def scaled(self, factor: float) -> "Face":
        """The same face in a picture `factor` times as large."""
        left, top, right, bottom = (factor * side for side in self.box)
        first, second, third, fourth, fifth = ((factor * x, factor * y) for x, y in self.landmarks)
        return replace(self, box=(left, top, right, bottom), landmarks=(first, second, third, fourth, fifth))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the network that finds faces is shown."""

    pixels: Pixels
    """(height, width, 3) uint8, RGB."""
    reduction: float
    """Sides of the picture divided by those of the view; at least 1."""


def view(raster: Raster) -> View:
    """The whole picture at 8 bits, reduced to `LARGEST_VIEW` when it is larger."""
    reduction = max(1.0, math.sqrt(raster.width * raster.height / LARGEST_VIEW))
    pixels = raster.pixels
    if reduction > 1:
        size = (max(1, round(raster.width / reduction)), max(1, round(raster.height / reduction)))
        reduced = cast("Pixels", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        pixels = reduced.reshape(size[1], size[0], -1)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return View(planes.rgb(pixels), reduction)


def choose(faces: Sequence[Face], width: int, height: int, options: FaceOptions) -> tuple[Face, ...]:
    """Those of `faces` to restore in a picture of `width` x `height`, in the order they came.

    Eyes that are too near take a face out first, as upstream does it; then all but the one nearest to the middle are,
    where only that is wanted, then those too large to gain, and then the smallest beyond `MOST_FACES`.
    """
    chosen = [face for face in faces if face.eye_distance >= options.min_eye_distance]
    if options.only_center and chosen:
        chosen = [min(chosen, key=lambda face: math.dist(_middle(face), (width / 2, height / 2)))]
    if options.max_size is not None:
        chosen = [face for face in chosen if face.longer_side <= options.max_size]
    largest = sorted(range(len(chosen)), key=lambda index: chosen[index].longer_side, reverse=True)
    return tuple(chosen[index] for index in sorted(largest[:MOST_FACES]))


def _middle(face: Face) -> Point:
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2
