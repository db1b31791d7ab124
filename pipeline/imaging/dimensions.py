"""Width and height of a picture file, as its header declares them.

Each function raises `struct.error` or `IndexError` where the file is too short and `JobFailed` where it is not a
file of its kind or one that we do not read. Positions are those of the formats' specifications.
"""

import struct
from collections.abc import Callable, Mapping

from pipeline.errors import JobFailed
from pipeline.imaging import tiff
from pipeline.imaging.formats import Format
from pipeline.imaging.jpeg import jpeg_size
from schemas.failures import FailureCode

Size = tuple[int, int]
MAX_GIF_EXTENSIONS = 10_000
"""Sub-blocks before the first picture; real files have a few, and a walk must end."""


def _png(data: bytes) -> Size:
    name, width, height = struct.unpack_from(">4sII", data, 12)
    if name != b"IHDR":
        raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the PNG file does not begin with its header")
    return width, height


def _webp(data: bytes) -> Size:
    announced = struct.unpack_from("<I", data, 4)[0] + 8
    if announced > len(data):
        raise JobFailed(
            FailureCode.IMAGE_TRUNCATED,
            f"source: the WebP file announces {announced} bytes and has {len(data)}",
            {"limit": announced, "value": len(data)},
        )
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the WebP file does not begin with a picture")


def _gif(data: bytes) -> Size:
    """The screen, enlarged to hold the first picture."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    for _ in range(MAX_GIF_EXTENSIONS):
        if data[position] == ord(","):
            left, top, across, down = struct.unpack_from("<HHHH", data, position + 1)
            return max(width, left + across), max(height, top + down)
        if data[position] == ord(";"):
            raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the GIF file holds no picture")
        # An extension is "!" and a label, then sub-blocks that begin with their length; one of none ends it.
        position += 2 if data[position] == ord("!") else 1 + data[position]
    raise JobFailed(
        FailureCode.IMAGE_METADATA_TOO_LARGE,
        f"source: blocks before the first GIF picture are limited to {MAX_GIF_EXTENSIONS}, and the file has more",
        {"limit": MAX_GIF_EXTENSIONS},
    )


def _bmp(data: bytes) -> Size:
    if data[14] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # a negative height says that rows run downwards


def _tiff(data: bytes) -> Size:
    page = tiff.first_page(data)
    return page.width, page.height


SIZES: Mapping[Format, Callable[[bytes], Size]] = {
    Format.JPEG: jpeg_size,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.GIF: _gif,
    Format.BMP: _bmp,
    Format.TIFF: _tiff,
}
