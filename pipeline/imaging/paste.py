"""Paste: restored faces back where they came from, blended into the picture around them.

The mask, its blurs and the shift by half a pixel are facexlib's. Other than there, all bits of a sample are kept,
sums are rounded and not cut off, alpha stays, grey stays grey, and only what a face covers is computed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.imaging import planes
from pipeline.imaging.align import Affine, inverted, reached
from pipeline.imaging.raster import Pixels, Raster

Mask = npt.NDArray[np.float32]

BLUR_SIDE = 101
BLUR_SIGMA = 11
"""Upstream's, applied twice."""
EDGE = 10
"""Pixels along the sides of a crop that are never pasted: its network saw no neighbours there."""
BLOCK = 2048
"""Largest side of what is blended at a time: OpenCV's warps end at 32,767 pixels, and floats take room."""


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """A face that was restored."""

    pixels: Pixels
    """(512, 512, 3), the dtype of the picture."""
    parsed: Pixels
    """(512, 512), the same dtype: the largest value where the face is, elsewhere 0."""
    affine: Affine
    """From the source picture to the crop."""


def paste(source: Raster, upscaled: Raster, faces: Sequence[Restored], weight: float) -> Raster:
    """`upscaled`, which `source` became, with `faces` of `source` pasted one after another.

    `weight` is the share of the restored face in what is pasted. Alpha stays what it is.
    """
    canvas = upscaled.pixels.copy()
    for face in faces:
        back = returning(face.affine, upscaled.width / source.width, upscaled.height / source.height)
        pixels = planes.grey(face.pixels)[..., None] if upscaled.is_grey else face.pixels
        _blend(canvas, pixels, soft_mask(face.parsed) * np.float32(weight), back)
    return replace(upscaled, pixels=canvas)


def returning(affine: Affine, across: float, down: float) -> Affine:
    """From the crop to the upscaled picture, which is `across` times as wide as the source and `down` times as high.

    Upstream's shift is kept: half a pixel of the upscaled picture beyond where centres of pixels would fall.
    """
    scale = np.array((across, down))
    back: Affine = inverted(affine) * scale[:, None]
    back[:, 2] += np.where(scale > 1, 0.5 * scale, 0)
    return back


def soft_mask(parsed: Pixels) -> Mask:
    """0 to 1, (512, 512): blurred edges for a mask of 0 and the dtype's largest value."""
    mask = parsed.astype(np.float32) / np.float32(np.iinfo(parsed.dtype).max)
    for _ in range(2):
        mask = cast("Mask", cv2.GaussianBlur(mask, (BLUR_SIDE, BLUR_SIDE), BLUR_SIGMA))
    inner = np.zeros_like(mask)
    inner[EDGE:-EDGE, EDGE:-EDGE] = mask[EDGE:-EDGE, EDGE:-EDGE]
    return inner


def _blend(canvas: Pixels, face: Pixels, mask: Mask, back: Affine) -> None:
    for left, top, right, bottom in _blocks(reached(back, canvas.shape[1], canvas.shape[0])):
        part = canvas[top:bottom, left:right]
        here = back - np.array(((0, 0, left), (0, 0, top)))
        size = (right - left, bottom - top)
        share = cv2.warpAffine(mask, here, size)[..., None]
        over = cv2.warpAffine(face, here, size).reshape(part.shape).astype(np.float32)
        under = part.astype(np.float32)
        part[:] = np.rint(under + share * (over - under))


def _blocks(area: tuple[int, int, int, int]) -> Iterator[tuple[int, int, int, int]]:
    left, top, right, bottom = area
    for y, x in product(range(top, bottom, BLOCK), range(left, right, BLOCK)):
        yield x, y, min(x + BLOCK, right), min(y + BLOCK, bottom)
