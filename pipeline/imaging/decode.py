"""Decode: bytes become a raster, upright and in sRGB, or a failure that says why not.

Meant for a process of its own (pipeline/worker/decoder.py), because decoders are where hostile files do harm. Changes
the process's warning filters while it works and is therefore not for several threads.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging import exif, reading
from pipeline.imaging.colour import to_srgb
from pipeline.imaging.formats import Format
from pipeline.imaging.header import Limits, inspect
from pipeline.imaging.raster import Raster
from schemas.failures import FailureCode
from schemas.remarks import Remark


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture and what had to be left out of it."""

    raster: Raster
    warnings: tuple[str, ...] = ()
    """Of `Remark`."""


def decode(data: bytes, limits: Limits, *, keep_exif: bool) -> Decoded:
    """The first picture of `data`. 16-bit samples stay 16-bit; metadata go, but for EXIF when `keep_exif`.

    Raises `JobFailed` and nothing else: the codes of `inspect`, and image_corrupt, image_truncated,
    image_too_complex. Incomplete pictures are failures, never filled up.
    """
    header = inspect(data, limits)
    with _translated(header.format):
        found = reading.read(data, header)
        pixels, colour_warnings = to_srgb(found.samples, found.profile)
        turn = exif.orientation(found.exif)
        alpha = found.samples.alpha
        block, exif_warnings = _kept_exif(found.exif) if keep_exif else (None, ())
        raster = Raster(exif.upright(pixels, turn), None if alpha is None else exif.upright(alpha, turn), block)
    return Decoded(raster, (*found.warnings, *colour_warnings, *exif_warnings))


def _kept_exif(found: Image.Exif | None) -> tuple[bytes | None, tuple[str, ...]]:
    try:
        block = None if found is None else exif.kept(found)
    except Exception:
        block = None
    if block is None or len(block) > exif.MAX_BYTES:
        return None, (Remark.EXIF_DROPPED,)
    return block or None, ()


@contextmanager
def _translated(kind: Format) -> Iterator[None]:
    """Turn whatever a decoder raises or warns of into `JobFailed`; on broken files that is nearly any exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except JobFailed:
        raise
    except MemoryError:
        raise JobFailed(
            FailureCode.IMAGE_TOO_COMPLEX, f"source: decoding the {kind} file takes more memory than a picture may"
        ) from None
    except Exception as error:
        raise _damaged(kind, error) from None


def _damaged(kind: Format, error: Exception) -> JobFailed:
    # Pillow has no type for it: "truncated" in its message is all that tells a short file from a broken one.
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return JobFailed(FailureCode.IMAGE_TRUNCATED, f"source: the {kind} file ends before its picture does")
    return JobFailed(FailureCode.IMAGE_CORRUPT, f"source: the {kind} file is damaged")
