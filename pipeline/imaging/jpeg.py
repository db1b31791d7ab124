"""The markers of a JPEG file (ITU-T T.81 annex B): its size, and whether its picture data are all there.

The decoder fills what is missing with grey and says nothing, so completeness is found out by `completions`: two files
that differ only in what follows the last data of each scan. Where the data are complete the decoder never looks at
that, and both give the same picture.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from pipeline.errors import JobFailed
from schemas.failures import FailureCode

MAX_SEGMENTS = 10_000
"""Segments of one file; real files have tens, and a walk must end."""
MAX_EXIF_SEGMENTS = 16
"""Of 64 KiB. The decoder copies all that it has for each that follows; one is usual."""
FILLER = bytes(range(0x15, 0xF5, 7)) * 80
"""Data that no picture needs: arbitrary, without the byte that begins a marker, and longer than all that is decoded at
a time, 10 blocks of 64 numbers of up to 32 bits: of what is begun and not ended the decoder shows nothing."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_READ_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE = 0xC2
_SCAN, _END, _INTERVAL = 0xDA, 0xD9, 0xDD
_RESTARTS = range(0xD0, 0xD8)
"""In turn."""
_IGNORED = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xD9)})
"""Fill bytes, and markers without content."""
_APPLICATIONS = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Segments of applications, and comments."""
_EXIF = b"Exif\0\0"
_UNDERSTOOD = {
    0xE0: re.compile(rb"JFIF.{3}", re.DOTALL),
    0xE1: re.compile(_EXIF + rb"|http://ns\.adobe\.com/xap/1\.0/\0"),
    0xE2: re.compile(rb"ICC_PROFILE\0..", re.DOTALL),
    0xEE: re.compile(rb"Adobe.{2}", re.DOTALL),
}
_NOTHING = re.compile(rb"(?!)")
_DATA_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker and where its content lies, the two bytes of length excluded."""

    code: int
    start: int
    stop: int


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height. Raises `JobFailed` (image_format_unsupported) for the processes that T.81 defines and nobody
    uses: lossless, hierarchical, arithmetic coding and 12 bits."""
    for segment in _segments(data):
        if segment.code in _FRAMES:
            precision, height, width = struct.unpack_from(">BHH", data, segment.start)
            if segment.code not in _READ_FRAMES or precision != 8:
                raise JobFailed(
                    FailureCode.IMAGE_FORMAT_UNSUPPORTED,
                    "source: JPEG must be baseline or progressive, Huffman coded, with 8 bits",
                    {"process": segment.code - 0xC0, "bits": precision},
                )
            return width, height
    raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the JPEG file holds no picture")


def understood(data: bytes) -> bytes:
    """`data` without application segments that say nothing about the picture, and those too short for what they
    announce: the decoder would read more from them, and refuse the file where they do not hold."""
    kept, position = [], 0
    for segment in _not_understood(data):
        kept.append(data[position : segment.start - 4])
        position = segment.stop
    return b"".join((*kept, data[position:])) if kept else data


def _not_understood(data: bytes) -> Iterator[Segment]:
    exif_segments = 0
    for segment in _segments(data):
        if segment.code in _APPLICATIONS:
            found = _UNDERSTOOD.get(segment.code, _NOTHING).match(data, segment.start, segment.stop)
            exif_segments += found is not None and found[0] == _EXIF
            if found is None or exif_segments > MAX_EXIF_SEGMENTS:
                yield segment


def completions(data: bytes) -> tuple[bytes, bytes]:
    """Two files that decode alike exactly when no scan of `data` lacks data; the first is what to decode.

    A missing end marker alone is forgiven. Raises `JobFailed` (image_truncated) when scans are missing altogether.
    """
    segments = list(_segments(data))
    scans = [segment for segment in segments if segment.code == _SCAN]
    if not scans:
        raise _truncated()
    end = b""
    if segments[-1].code != _END:
        if not _holds_everything(data, segments, scans):
            raise _truncated()
        data, end = data.rstrip(b"\xff"), bytes((0xFF, _END))
    borders = [0, *(min(scan.stop, len(data)) for scan in scans), len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(borders)]
    restarts = any(segment.code == _INTERVAL for segment in segments)
    fillers = [*(_interval(data, scan) if restarts else FILLER for scan in scans), end]
    return data + end, b"".join(chain.from_iterable(zip(pieces, fillers, strict=True)))


def _interval(data: bytes, scan: Segment) -> bytes:
    """Filler behind the data of `scan`: the rest of an interval between restarts, and the one that would follow."""
    last, code = max((data.rfind(bytes((0xFF, code)), scan.start, scan.stop), code) for code in _RESTARTS)
    following = _RESTARTS[0] if last < 0 else _RESTARTS[(code + 1) % len(_RESTARTS)]
    return FILLER + bytes((0xFF, following)) + FILLER


def _holds_everything(data: bytes, segments: list[Segment], scans: list[Segment]) -> bool:
    """Whether one scan carries all components in full, so that no other can be missing behind it."""
    frame = next(segment for segment in segments if segment.code in _FRAMES)
    components, in_scan = data[frame.start + 5], data[scans[0].start]
    return frame.code != _PROGRESSIVE and len(scans) == 1 and in_scan == components


def _truncated() -> JobFailed:
    return JobFailed(FailureCode.IMAGE_TRUNCATED, "source: the JPEG file ends before its picture does")


def _segments(data: bytes) -> Iterator[Segment]:
    """The markers in file order up to the end marker; of a scan, `stop` is where its entropy-coded data end."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        position = data.find(b"\xff", position)
        if position < 0:
            return
        code = data[position + 1]
        if code == _END:
            yield Segment(code, position + 2, position + 2)
            return
        if code in _IGNORED:
            position += 1 if code == 0xFF else 2
            continue
        start, position = position + 4, position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        if code == _SCAN:
            following = _DATA_END.search(data, position)
            position = following.start() if following else len(data)
        yield Segment(code, start, position)
    raise JobFailed(
        FailureCode.IMAGE_METADATA_TOO_LARGE,
        f"source: JPEG segments are limited to {MAX_SEGMENTS}, and the file has more",
        {"limit": MAX_SEGMENTS},
    )
