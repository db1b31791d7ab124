"""Halves: 16-bit colour out of a decoder that keeps 8 bits.

Pillow reduces 16-bit colour to the high byte of each sample, but undoes compression and filters on all bytes first.
Which byte is the high one it takes from the name of the raw mode. So the file is decoded twice, once for each name.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.ImageFile import ImageFile


def byte_pairs(reopen: Callable[[], ImageFile]) -> npt.NDArray[np.uint8]:
    """Both bytes of every sample as decoded, in file order: shape (height, width, channels, 2).

    `reopen` gives the same file each time, opened, not loaded, and in a 16-bit colour mode.
    """
    first, second = (np.asarray(_ordered(reopen(), order)) for order in ("B", "L"))
    return np.stack((first, second), axis=-1)


def _ordered(image: ImageFile, order: str) -> ImageFile:
    image.tile = [tile._replace(args=_renamed(tile.args, order)) for tile in image.tile]
    return image


def _renamed(args: Any, order: str) -> Any:
    if isinstance(args, tuple):
        return (_renamed(args[0], order), *args[1:])
    if not args.endswith((";16B", ";16L", ";16N")):
        raise ValueError(f"raw mode: must be of 16 bits, got {args}")
    return args[:-1] + order
