"""The chunks of a PNG file (PNG specification, third edition): checked, and reduced to what makes the picture.

Decoders differ in what they check: ours would skip the checksums of picture data, show missing rows as black and let
a text bomb stop a sound picture. So the file is walked here, and the decoder is given only chunks that passed.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from isal import isal_zlib

from pipeline.errors import JobFailed
from schemas.failures import FailureCode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 200_000
"""Chunks of one file; real files have some thousands at most, and a walk must end."""
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS: Mapping[int, int] = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_WANTED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"acTL"})
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, step across, step down of each pass."""
_INFLATE_ERROR = cast(type[Exception], isal_zlib.error)  # its stub declares an instance
_SLICE = 1 << 16
_INFLATED_SLICE = 1 << 20


@dataclass(frozen=True, slots=True)
class PngFile:
    """A walked file: its header's fields, the chunks we use, and the compressed picture."""

    width: int
    height: int
    depth: int
    kind: int
    """Colour type of the specification: one of the keys of `CHANNELS`."""
    interlaced: bool
    chunks: Mapping[bytes, bytes]
    """Content of the first sound PLTE, tRNS, iCCP, eXIf and acTL."""
    picture: bytes
    """All IDAT content, one zlib stream."""

    @property
    def animated(self) -> bool:
        control = self.chunks.get(b"acTL", b"")
        return len(control) == 8 and struct.unpack_from(">I", control)[0] > 1


def walk(data: bytes) -> PngFile:
    """Walk `data` and verify all that the picture depends on.

    Raises `JobFailed`: image_truncated when the file or its picture data end early, image_corrupt for a checksum or a
    header that does not hold, image_metadata_too_large for more chunks than `MAX_CHUNKS`. Ancillary chunks that do
    not hold are left out.
    """
    chunks: dict[bytes, bytes] = {}
    picture: list[bytes] = []
    for name, content in _chunks(data):
        if name == b"IDAT":
            picture.append(content)
        elif name in _WANTED:
            chunks.setdefault(name, content)
    file = _described(chunks, b"".join(picture))
    _verify_picture(file)
    return file


def write_chunk(name: bytes, content: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the chunks before IEND; broken ancillary ones are passed over."""
    view, position = memoryview(data), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            raise _truncated()
        length, name = struct.unpack_from(">I4s", data, position)
        stop = position + 12 + length
        if stop > len(data):
            raise _truncated()
        content = view[position + 8 : stop - 4]
        sound = zlib.crc32(view[position + 4 : stop - 4]) == struct.unpack_from(">I", data, stop - 4)[0]
        critical = not name[0] & 0x20
        if critical and not (sound and name in _CRITICAL):
            raise _corrupt("a chunk that the picture depends on does not hold")
        if name == b"IEND":
            return
        if sound:
            yield name, bytes(content)
        position = stop
    raise JobFailed(
        FailureCode.IMAGE_METADATA_TOO_LARGE,
        f"source: PNG chunks are limited to {MAX_CHUNKS}, and the file has more",
        {"limit": MAX_CHUNKS},
    )


def _described(chunks: dict[bytes, bytes], picture: bytes) -> PngFile:
    header = chunks.pop(b"IHDR", b"")
    if len(header) != 13:
        raise _corrupt("its header does not hold")
    width, height, depth, kind, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(kind, ()) or compression or filtering or interlace > 1:
        raise _corrupt("its header describes no PNG")
    if kind == PALETTE and not chunks.get(b"PLTE"):
        raise _corrupt("its palette is missing")
    return PngFile(width, height, depth, kind, bool(interlace), chunks, picture)


def _verify_picture(file: PngFile) -> None:
    """Inflate the picture, keeping nothing: too few bytes would come out as black rows."""
    expected = _scanline_bytes(file)
    inflater, total = isal_zlib.decompressobj(), 0
    try:
        for start in range(0, len(file.picture), _SLICE):
            pending = file.picture[start : start + _SLICE]
            while pending and total <= expected:
                total += len(inflater.decompress(pending, _INFLATED_SLICE))
                pending = inflater.unconsumed_tail
    except _INFLATE_ERROR:
        raise _corrupt("its picture data do not hold") from None
    if total < expected:
        raise _truncated()


def _scanline_bytes(file: PngFile) -> int:
    """Bytes of the filtered scanlines, all passes together."""
    passes = _ADAM7 if file.interlaced else ((0, 0, 1, 1),)
    bits = file.depth * CHANNELS[file.kind]
    total = 0
    for left, top, across, down in passes:
        width = -(-(file.width - left) // across)
        height = -(-(file.height - top) // down)
        if width > 0 and height > 0:
            total += height * (1 + -(-width * bits // 8))
    return total


def _truncated() -> JobFailed:
    return JobFailed(FailureCode.IMAGE_TRUNCATED, "source: the PNG file ends before its picture does")


def _corrupt(what: str) -> JobFailed:
    return JobFailed(FailureCode.IMAGE_CORRUPT, f"source: the PNG file is damaged: {what}")
