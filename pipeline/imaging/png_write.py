"""A raster -> PNG, fast.

Every row is stored as its difference from the row above (filter "Up") and compressed by ISA-L at level 2. Measured on
photographs enlarged four times against Pillow's default (adaptive filters, zlib level 6): 30 to 50 times as fast at
1.00 to 1.15 times the size, 1.23 on a smooth evening sky. "Sub" came out a quarter larger on such pictures; "Paeth"
saves 2 % and takes three times as long in numpy.
"""

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from pipeline.imaging.png_chunks import GREY, GREY_ALPHA, RGB, RGB_ALPHA, SIGNATURE, write_chunk
from pipeline.imaging.raster import Raster, interleaved

LEVEL = 2
STRIP_BYTES = 1 << 20
"""Rows filtered at a time, so that the filtered copy is still in the cache when it is compressed."""
_UP = 2
_PERCEPTUAL = b"\0"

Bytes = npt.NDArray[np.uint8]


def write(raster: Raster) -> bytes:
    """A PNG of the raster's own kind: grey or RGB, with or without alpha, 8 or 16 bits; marked sRGB."""
    parts = [
        SIGNATURE,
        write_chunk(
            b"IHDR", struct.pack(">IIBBBBB", raster.width, raster.height, raster.bit_depth, _kind(raster), 0, 0, 0)
        ),
        write_chunk(b"sRGB", _PERCEPTUAL),
    ]
    if raster.exif is not None:
        parts.append(write_chunk(b"eXIf", raster.exif))
    parts += [write_chunk(b"IDAT", piece) for piece in _compressed(raster)]
    parts.append(write_chunk(b"IEND", b""))
    return b"".join(parts)


def _kind(raster: Raster) -> int:
    if raster.alpha is None:
        return GREY if raster.is_grey else RGB
    return GREY_ALPHA if raster.is_grey else RGB_ALPHA


def _compressed(raster: Raster) -> Iterator[bytes]:
    compressor = isal_zlib.compressobj(LEVEL)
    for strip in _filtered(raster):
        if piece := compressor.compress(strip.data):
            yield piece
    yield compressor.flush()


def _filtered(raster: Raster) -> Iterator[Bytes]:
    """Scanlines with their filter byte, some rows at a time."""
    row_bytes = _rows(raster, 0, 1).shape[1]
    step = max(1, STRIP_BYTES // row_bytes)
    above = np.zeros((1, row_bytes), dtype=np.uint8)
    for top in range(0, raster.height, step):
        rows = _rows(raster, top, top + step)
        strip = np.empty((rows.shape[0], 1 + row_bytes), dtype=np.uint8)
        strip[:, 0] = _UP
        np.subtract(rows[:1], above, out=strip[:1, 1:])
        np.subtract(rows[1:], rows[:-1], out=strip[1:, 1:])
        above = rows[-1:]
        yield strip


def _rows(raster: Raster, top: int, bottom: int) -> Bytes:
    """The bytes of some rows in the file's order: alpha after colour, high byte first."""
    samples = raster.pixels[top:bottom]
    if raster.alpha is not None:
        samples = interleaved(samples, raster.alpha[top:bottom])
    if raster.bit_depth == 16:
        samples = samples.astype(">u2")
    return np.ascontiguousarray(samples).reshape(samples.shape[0], -1).view(np.uint8)
