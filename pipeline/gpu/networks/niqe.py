"""NIQE: how natural a picture looks, without knowing the original. Computed by basicsr, with the parameters it brings.

Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer" (2013): the statistics of blocks of
96 pixels, compared with those of pristine photographs. It knows nothing of the subject: sharpness that was invented
counts as well as sharpness that was there, and with few blocks it is rough.
"""

import math
import warnings

import numpy as np

from pipeline.gpu.networks.upstream import calculate_niqe
from pipeline.imaging.raster import Pixels

BLOCK = 96
"""Pixels along a side."""


def niqe(picture: Pixels) -> float | None:
    """Of (height, width, 3) uint8 RGB; lower is more natural, photographs have about 2 to 5.

    None where the picture has fewer than two blocks or is flat in most of them: there is nothing to compare then.
    """
    height, width = picture.shape[:2]
    if (height // BLOCK) * (width // BLOCK) < 2:
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = float(calculate_niqe(picture[..., ::-1], crop_border=0))
    except np.linalg.LinAlgError:
        return None
    return found if math.isfinite(found) else None
