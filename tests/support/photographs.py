"""Real photographs that come with an installed package, cut to a size that a test can afford."""

import numpy as np
from skimage import data

from pipeline.imaging.raster import Pixels

CORNERS = {"astronaut": (40, 190), "chelsea": (86, 161), "coffee": (136, 236), "rocket": (149, 256)}
"""Top left corner of an interesting part of each: a face, fur, china and a spoon, an edge against the sky."""


def photograph(name: str, height: int, width: int) -> Pixels:
    """A crop, (height, width, 3) uint8."""
    top, left = CORNERS[name]
    picture = np.asarray(getattr(data, name)())[top : top + height, left : left + width]
    return np.ascontiguousarray(picture, dtype=np.uint8)
