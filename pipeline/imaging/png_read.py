"""A walked PNG file -> samples at the file's full depth."""

import io
import struct

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from pipeline.imaging.halves import byte_pairs
from pipeline.imaging.png_chunks import (
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SIGNATURE,
    PngFile,
    write_chunk,
)
from pipeline.imaging.raster import Pixels
from pipeline.imaging.samples import Samples, samples_of, with_alpha


def read(file: PngFile) -> Samples:
    """The samples of the (default) picture; a transparent colour becomes alpha, exact at the file's depth."""
    if file.depth < 16:
        samples = samples_of(_open(file, file.kind, file.depth))
    elif file.kind in (GREY, GREY_ALPHA):
        samples = _sixteen_bit_grey(file)
    else:
        samples = _sixteen_bit_colour(file)
    key = file.chunks.get(b"tRNS", b"")
    if file.kind not in (GREY, RGB) or len(key) != 2 * samples.colour.shape[2]:
        return samples
    return Samples(samples.model, samples.colour, _keyed(file, samples.colour, key))


def _open(file: PngFile, kind: int, depth: int) -> PngImageFile:
    """The file as the decoder sees it: nothing but the picture, read as `kind` and `depth`."""
    header = struct.pack(">IIBBBBB", file.width, file.height, depth, kind, 0, 0, file.interlaced)
    parts = [SIGNATURE, write_chunk(b"IHDR", header)]
    if kind == PALETTE:
        parts.append(write_chunk(b"PLTE", file.chunks[b"PLTE"]))
        if b"tRNS" in file.chunks:
            parts.append(write_chunk(b"tRNS", file.chunks[b"tRNS"]))
    parts += [write_chunk(b"IDAT", file.picture), write_chunk(b"IEND", b"")]
    return PngImageFile(io.BytesIO(b"".join(parts)))


def _sixteen_bit_grey(file: PngFile) -> Samples:
    """Two bytes a pixel lie as in 8-bit grey with alpha, four as in 8-bit RGB with alpha, filters included."""
    kind = GREY_ALPHA if file.kind == GREY else RGB_ALPHA
    halves = np.asarray(_open(file, kind, 8))
    pixels = halves.view(">u2").astype(np.uint16)
    return Samples("L", pixels) if file.kind == GREY else with_alpha("L", pixels)


def _sixteen_bit_colour(file: PngFile) -> Samples:
    pixels = byte_pairs(lambda: _open(file, file.kind, 16)).view(">u2")[..., 0].astype(np.uint16)
    return Samples("RGB", pixels) if file.kind == RGB else with_alpha("RGB", pixels)


def _keyed(file: PngFile, colour: Pixels, key: bytes) -> Pixels:
    """Transparent where the colour is exactly `key`, whose values are at the file's depth, opaque elsewhere."""
    values = np.frombuffer(key, dtype=">u2").astype(np.uint32)
    if file.depth < 8:
        values *= 255 // (2**file.depth - 1)  # the decoder has spread the few levels over eight bits
    alpha: Pixels = (colour != values).any(axis=2).astype(colour.dtype)
    alpha *= np.iinfo(colour.dtype).max
    return alpha
