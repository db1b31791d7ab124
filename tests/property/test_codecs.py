"""Whatever the bytes: a raster or a failure with a code, and what was encoded comes back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.imaging.decode import decode
from pipeline.imaging.encode import encode
from pipeline.imaging.raster import Raster
from schemas.options import OutputFormat
from tests.support.images import make_pixels, make_raster
from tests.support.picture_files import ADOBE_GAMMA, ADOBE_RGB, LIMITS, exif, matrix_profile, photo, png, saved, tiff

_EXTRAS = {"exif": b"Exif\0\0" + exif(6, make="Maker"), "icc_profile": matrix_profile(ADOBE_RGB, ADOBE_GAMMA)}
SEEDS = [
    *(saved(photo(), kind, **_EXTRAS) for kind in ("jpeg", "png", "webp", "tiff")),
    *(saved(photo().convert(mode), kind) for mode in ("P", "1") for kind in ("gif", "bmp", "png", "tiff")),
    saved(photo(), "jpeg", progressive=True),
    saved(photo().convert("CMYK"), "jpeg"),
    saved(photo(), "webp", lossless=True, save_all=True, append_images=[photo()]),
    saved(photo(), "gif", save_all=True, append_images=[photo().rotate(90)]),
    saved(photo(), "tiff", compression="tiff_lzw"),
    png(make_pixels(5, 7, depth=16), depth=16),
    tiff(make_pixels(5, 7, 4, depth=16), tags={338: (2,)}),
]
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=6)


@given(st.binary(max_size=300))
def test_decode_of_arbitrary_bytes_raises_only_job_failures(data: bytes) -> None:
    """Bytes that are no picture fail with a code."""
    _raster_or_failure(data)


@settings(max_examples=400)
@given(st.sampled_from(SEEDS), EDITS, st.floats(0.05, 1))
def test_decode_of_damaged_files_raises_only_job_failures(
    seed: bytes, edits: list[tuple[int, bytes]], part: float
) -> None:
    """A file with bytes changed and its end cut off is decoded or fails with a code."""
    data = bytearray(seed)
    for position, content in edits:
        start = position % len(data)
        data[start : start + len(content)] = content

    _raster_or_failure(bytes(data[: int(len(data) * part)]) if part < 0.9 else bytes(data))


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.booleans(), st.sampled_from([8, 16]))
def test_png_round_trip_is_exact(height: int, width: int, grey: bool, alpha: bool, depth: int) -> None:
    """What is written as PNG is read back bit for bit, EXIF included."""
    kind = make_raster(height, width, grey=grey, alpha=alpha, depth=depth)
    raster = Raster(kind.pixels, kind.alpha, exif(make="Maker"))

    again = decode(encode(raster, OutputFormat.PNG, 95).data, LIMITS, keep_exif=True).raster

    assert np.array_equal(again.pixels, raster.pixels)
    assert np.array_equal(again.alpha, raster.alpha) if alpha else again.alpha is None
    assert again.exif is not None


def _raster_or_failure(data: bytes) -> None:
    try:
        raster = decode(data, LIMITS, keep_exif=True).raster
    except JobFailed:
        return
    assert raster.pixels.flags.c_contiguous
    assert raster.width * raster.height <= LIMITS.max_pixels
