"""The first directory of a TIFF file: enough to know what kind of picture it holds.

Follows TIFF 6.0. Only what we can render faithfully is let through; TIFF can describe far more than pictures.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import JobFailed
from schemas.failures import FailureCode

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
PLANAR, SAMPLE_FORMAT = 284, 339
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946})
"""None, CCITT, LZW, deflate, PackBits: those whose decoders are small. JPEG inside TIFF is not among them."""
DEPTHS = frozenset({1, 2, 4, 8, 16})
MAX_ENTRIES = 1000
"""Entries of a directory that are read; they are in ascending order, and those we need come early."""
WHITE_IS_ZERO = 0
_SHORT, _LONG = 3, 4


@dataclass(frozen=True, slots=True)
class Page:
    """What the first directory declares."""

    width: int
    height: int
    depth: int
    """Bits of one sample, equal for all."""
    white_is_zero: bool
    more_follow: bool
    """Whether the file has further pages."""


def first_page(data: bytes) -> Page:
    """Read the first directory. Raises `struct.error` when the file ends inside it, `JobFailed` (image_corrupt,
    image_format_unsupported) when it lacks a size or holds samples that we do not read."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, start)[0]
    tags = _tags(data, order, start + 2, min(count, MAX_ENTRIES))
    if not {WIDTH, HEIGHT} <= tags.keys():
        raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the TIFF file does not say how large its picture is")
    depths = tags.get(BITS, (1,))
    _require("compression", tags.get(COMPRESSION, (1,))[0], COMPRESSIONS)
    _require("bits per sample", max(depths), DEPTHS)
    _require("bits per sample", min(depths), {max(depths)})
    _require("sample format", max(tags.get(SAMPLE_FORMAT, (1,))), {1})
    if max(depths) == 16 and len(depths) > 1:
        # The decoder would take the halves of one 16-bit sample for two samples.
        _require("planar configuration", tags.get(PLANAR, (1,))[0], {1})
    return Page(
        width=tags[WIDTH][0],
        height=tags[HEIGHT][0],
        depth=max(depths),
        white_is_zero=tags.get(PHOTOMETRIC, (1,))[0] == WHITE_IS_ZERO,
        more_follow=_next(data, order, start + 2 + 12 * count) not in (0, start),
    )


def _tags(data: bytes, order: str, position: int, count: int) -> Mapping[int, tuple[int, ...]]:
    """Values of the numeric tags of one directory; other types hold no property of the samples."""
    found = {}
    for entry in range(position, position + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
        if kind in (_SHORT, _LONG) and 1 <= length <= 16:
            code, size = ("H", 2) if kind == _SHORT else ("I", 4)
            inline = length * size <= 4
            at = entry + 8 if inline else struct.unpack_from(f"{order}I", data, entry + 8)[0]
            found[tag] = struct.unpack_from(f"{order}{length}{code}", data, at)
    return found


def _next(data: bytes, order: str, position: int) -> int:
    following = data[position : position + 4]
    return int.from_bytes(following, "little" if order == "<" else "big")


def _require(field: str, value: int, allowed: "frozenset[int] | set[int]") -> None:
    if value not in allowed:
        raise JobFailed(
            FailureCode.IMAGE_FORMAT_UNSUPPORTED,
            f"source: TIFF {field} must be {' or '.join(map(str, sorted(allowed)))}, got {value}",
            {"field": field.replace(" ", "_"), "value": value},
        )
