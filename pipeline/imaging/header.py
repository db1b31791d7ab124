"""Header: what a picture file says about itself, and whether we take it.

Read without a decoder, from fixed positions and bounded walks: a file that declares more than the limits is refused
before anything is allocated for it.
"""

import struct
from dataclasses import dataclass

from pipeline.errors import JobFailed
from pipeline.imaging.dimensions import SIZES
from pipeline.imaging.formats import Format, sniff
from schemas.failures import FailureCode


@dataclass(frozen=True, slots=True)
class Limits:
    """What pictures we take. In source pixels, whichever way up the picture is."""

    max_pixels: int
    """Width times height."""
    max_side: int
    min_side: int
    max_aspect: float
    """Longer side divided by shorter."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file declares; sides as stored, before orientation is applied."""

    format: Format
    width: int
    height: int


def inspect(data: bytes, limits: Limits) -> Header:
    """Say what `data` is, and refuse what we do not take. Takes some milliseconds at most, whatever the file holds.

    Raises `JobFailed` with the field, the limit and the value: source_empty, image_format_unsupported, image_corrupt,
    image_truncated, image_too_large, image_too_small, image_aspect_unsupported, image_metadata_too_large.
    """
    kind = sniff(data)
    try:
        width, height = SIZES[kind](data)
    except (struct.error, IndexError):
        raise JobFailed(
            FailureCode.IMAGE_TRUNCATED, f"source: the {kind} file ends inside its header", {"size": len(data)}
        ) from None
    if width <= 0 or height <= 0:
        raise JobFailed(FailureCode.IMAGE_CORRUPT, f"source: declares a picture of {width} x {height} pixels")
    _check(width, height, limits)
    return Header(kind, width, height)


def _check(width: int, height: int, limits: Limits) -> None:
    longer, shorter = max(width, height), min(width, height)
    aspect = round(longer / shorter, 2)
    if longer > limits.max_side:
        raise _refusal(FailureCode.IMAGE_TOO_LARGE, "longer_side", limits.max_side, longer)
    if width * height > limits.max_pixels:
        raise _refusal(FailureCode.IMAGE_TOO_LARGE, "pixels", limits.max_pixels, width * height)
    if shorter < limits.min_side:
        raise _refusal(FailureCode.IMAGE_TOO_SMALL, "shorter_side", limits.min_side, shorter)
    if aspect > limits.max_aspect:
        raise _refusal(FailureCode.IMAGE_ASPECT_UNSUPPORTED, "aspect", limits.max_aspect, aspect)


def _refusal(code: FailureCode, field: str, limit: float, value: float) -> JobFailed:
    return JobFailed(
        code,
        f"source: {field.replace('_', ' ')} is limited to {limit}, got {value}",
        {"field": field, "limit": limit, "value": value},
    )
