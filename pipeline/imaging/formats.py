"""Format: which kind of picture file a row of bytes is, by its content alone."""

import re
from enum import StrEnum

from pipeline.errors import JobFailed
from schemas.failures import FailureCode


class Format(StrEnum):
    """Picture files we read. The name a file goes by and its media type are never asked."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    BMP = "bmp"
    TIFF = "tiff"


_SIGNATURES = (
    (Format.JPEG, re.compile(rb"\xff\xd8\xff")),
    (Format.PNG, re.compile(rb"\x89PNG\r\n\x1a\n")),
    (Format.WEBP, re.compile(rb"RIFF....WEBP", re.DOTALL)),
    (Format.GIF, re.compile(rb"GIF8[79]a")),
    # Two letters are common in text, so the size of the second header must be one that exists.
    (Format.BMP, re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
    (Format.TIFF, re.compile(rb"II\*\x00|MM\x00\*")),
)
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")


def sniff(data: bytes) -> Format:
    """The format of `data`. Raises `JobFailed`: source_empty, image_corrupt (too short to tell) or
    image_format_unsupported."""
    if not data:
        raise JobFailed(FailureCode.SOURCE_EMPTY, "source: the file has no bytes", {"size": 0})
    for kind, signature in _SIGNATURES:
        if signature.match(data):
            return kind
    if any(beginning.startswith(data) for beginning in _BEGINNINGS):
        raise JobFailed(
            FailureCode.IMAGE_CORRUPT, f"source: the file ends after {len(data)} bytes", {"size": len(data)}
        )
    raise JobFailed(
        FailureCode.IMAGE_FORMAT_UNSUPPORTED,
        f"source: must be one of {', '.join(Format)}, and its content is none of them",
    )
