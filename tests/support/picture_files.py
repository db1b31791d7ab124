"""Picture files for tests, sound and hostile, made by code."""

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.imaging.header import Limits

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LIMITS = Limits(max_pixels=1_000_000, max_side=16_384, min_side=1, max_aspect=200.0)
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}


def photo(height: int = 24, width: int = 32) -> Image.Image:
    """A small picture with smooth areas and edges, as photographs have."""
    down, across = np.mgrid[0:height, 0:width]
    channels = (
        down * 255 // max(height - 1, 1),
        across * 255 // max(width - 1, 1),
        (down // 8 + across // 8) % 2 * 200,
    )
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of `kind`, by Pillow."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    """A PNG chunk; `checksum` overrides the right one."""
    right = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", right if checksum is None else checksum)


def png_header(width: int, height: int, depth: int = 8, kind: int = RGB, interlace: int = 0) -> bytes:
    """Signature and header of a PNG file."""
    return PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))


def png(
    samples: npt.NDArray[Any],
    kind: int = RGB,
    depth: int = 8,
    *,
    before: bytes = b"",
    after: bytes = b"",
    keep: int | None = None,
) -> bytes:
    """A PNG of `samples` (height, width, channels) with unfiltered rows; `keep` cuts the bytes before compression."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row for row in _packed(samples.reshape(height, -1), depth))
    picture = chunk(b"IDAT", zlib.compress(rows[:keep]))
    return png_header(width, height, depth, kind) + before + picture + after + chunk(b"IEND", b"")


def bomb_chunk(name: bytes, prefix: bytes, size: int = 50_000_000) -> bytes:
    """A compressed chunk of some kB that inflates to `size` bytes."""
    return chunk(name, prefix + zlib.compress(bytes(size), 9))


def many_scans(count: int) -> bytes:
    """A flat progressive JPEG of 9 megapixels that refines nothing `count` times: small, and slow to decode."""
    data = saved(Image.new("RGB", (3000, 3000), "teal"), "jpeg", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def tiff(
    samples: npt.NDArray[Any],
    *,
    order: Literal["<", ">"] = "<",
    photometric: int = 2,
    tags: dict[int, tuple[int, ...]] | None = None,
    following: int = 0,
    strip: bytes | None = None,
) -> bytes:
    """A TIFF of one strip, uncompressed unless `strip` holds it compressed. `tags` overrides or adds; a tag without
    values is left out."""
    height, width, channels = samples.shape
    depth = samples.dtype.itemsize * 8
    if strip is None:
        strip = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    fields: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (depth,) * channels,
        259: (1,),
        262: (photometric,),
        273: (8,),
        277: (channels,),
        278: (height,),
        279: (len(strip),),
    }
    fields = {tag: values for tag, values in sorted({**fields, **(tags or {})}.items()) if values}
    start = 8 + len(strip)
    extra_at, entries, extra = start + 2 + 12 * len(fields) + 4, b"", b""
    for tag, values in fields.items():
        content = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            content, extra = struct.pack(f"{order}I", extra_at + len(extra)), extra + content
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + content
    directory = struct.pack(f"{order}H", len(fields)) + entries + struct.pack(f"{order}I", following)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}I", start) + strip + directory + extra


def exif(orientation: int | None = None, **text: str) -> bytes:
    """An EXIF block from its byte-order mark. Text by tag name of the first directory, with a GPS directory always."""
    block = Image.Exif()
    if orientation is not None:
        block[0x0112] = orientation
    names = {"make": 0x010F, "copyright": 0x8298}
    block.update({names[name]: value for name, value in text.items()})
    block[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    block[0x8769] = {0xA002: 32, 0x9003: "2024:01:02 03:04:05"}
    return block.tobytes().removeprefix(b"Exif\0\0")


def matrix_profile(colorants: Iterable[tuple[float, float, float]], gamma: float, space: bytes = b"RGB ") -> bytes:
    """A minimal ICC profile of tone curves, with `colorants` (D50 XYZ of red, green, blue) when it is for RGB."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": _xyz((0.9642, 1.0, 0.8249)), b"desc": _text(), b"cprt": _text()}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {name: _xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _assembled(tags, space)


ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Colorants of Adobe RGB (1998), adapted to D50."""
ADOBE_GAMMA = 563 / 256


def _packed(rows: npt.NDArray[Any], depth: int) -> list[bytes]:
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in rows]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in rows]
    bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :].reshape(rows.shape[0], -1)
    return [row.tobytes() for row in np.packbits(bits, axis=1)]


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(part * 65_536) for part in value))


def _text() -> bytes:
    return (
        b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + "x".encode("utf-16-be") + bytes(2)
    )


def _assembled(tags: dict[bytes, bytes], space: bytes) -> bytes:
    offset = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, offset + len(content), len(tag))
        content += tag
    size = offset + len(content)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63_190, 65_536, 54_061)
    return head.ljust(128, b"\0") + table + content
