"""Faces at places of one's choosing."""

from typing import Any, cast

from pipeline.imaging.faces import Face

UPRIGHT = ((192.98, 239.95), (318.9, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
"""Landmarks of a face that fills a crop of 512 x 512 as the networks for faces want it."""


def make_face(left: float = 0.0, top: float = 0.0, side: float = 512.0, score: float = 1.0) -> Face:
    """An upright face whose crop is the square of `side` pixels at `left` and `top`."""
    landmarks = tuple((left + x * side / 512, top + y * side / 512) for x, y in UPRIGHT)
    return Face((left, top, left + side, top + side), score, cast("Any", landmarks))
