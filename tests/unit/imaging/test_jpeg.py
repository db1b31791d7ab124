"""JPEG: what is missing is noticed, what is merely odd is not refused."""

import re
import struct
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.decode import Decoded, decode
from schemas.failures import FailureCode
from tests.support.picture_files import LIMITS, photo, saved

END = b"\xff\xd9"
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full colour": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 2},
}


def decoded(data: bytes) -> Decoded:
    """`data` decoded under the usual limits."""
    return decode(data, LIMITS, keep_exif=False)


def code_of(data: bytes) -> FailureCode:
    """The code `data` fails with."""
    with pytest.raises(JobFailed) as failed:
        decoded(data)
    return failed.value.code


@pytest.fixture(params=KINDS)
def file(request: pytest.FixtureRequest) -> bytes:
    """A sound file of each kind."""
    return saved(photo(200, 300), "jpeg", quality=90, **KINDS[request.param])


@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_jpeg_cut_and_ended_properly_is_still_truncated(file: bytes, part: float) -> None:
    """An end marker after half a picture does not make the other half; decoders fill it with grey."""
    assert code_of(file[: int(len(file) * part)] + END) is FailureCode.IMAGE_TRUNCATED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(65, 48), (64, 49), (200, 200), (1000, 800)])
def test_jpeg_that_announces_more_than_its_data_hold_is_truncated(kind: str, width: int, height: int) -> None:
    """Whole blocks are missing, and none is begun."""
    data = saved(photo(48, 64), "jpeg", **KINDS[kind])
    frame = next(match.start() for match in re.finditer(b"\xff[\xc0-\xc2]", data))
    larger = data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]

    assert code_of(larger) is FailureCode.IMAGE_TRUNCATED


@pytest.mark.parametrize("rows", [1, 5, 9])
def test_jpeg_cut_between_two_restarts_is_truncated(rows: int) -> None:
    """All that is there is whole."""
    data = saved(photo(200, 300), "jpeg", quality=90, restart_marker_rows=1)
    cut = [match.start() for match in re.finditer(b"\xff[\xd0-\xd7]", data)][rows]

    assert code_of(data[:cut] + END) is FailureCode.IMAGE_TRUNCATED


def test_jpeg_of_many_exif_segments_is_read_in_no_time() -> None:
    """The decoder joins them to one block, which it copies for each."""
    data = saved(photo(), "jpeg")
    segment = b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)

    began = time.process_time()
    result = decoded(data[:2] + segment * 900 + data[2:])

    assert np.array_equal(result.raster.pixels, decoded(data).raster.pixels)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}])
def test_jpeg_without_its_end_marker_is_fine(options: dict[str, int]) -> None:
    """When all data are there, the marker says nothing more."""
    data = saved(photo(200, 300), "jpeg", **options)

    assert np.array_equal(decoded(data[:-2]).raster.pixels, decoded(data).raster.pixels)


def test_jpeg_progressive_without_its_end_marker_is_truncated() -> None:
    """Nobody can tell whether another scan was to follow."""
    assert code_of(saved(photo(200, 300), "jpeg", progressive=True)[:-2]) is FailureCode.IMAGE_TRUNCATED


def test_jpeg_that_ends_before_its_first_scan_is_truncated() -> None:
    """Headers alone are no picture."""
    data = saved(photo(), "jpeg")

    assert code_of(data[: data.index(b"\xff\xda")] + END) is FailureCode.IMAGE_TRUNCATED


def test_jpeg_comments_leave_no_trace() -> None:
    """Comments and unknown segments change nothing."""
    data = saved(photo(), "jpeg")
    script = b"<script>alert(1)</script>"
    commented = data[:2] + b"\xff\xfe" + (len(script) + 2).to_bytes(2, "big") + script + data[2:]

    assert np.array_equal(decoded(commented).raster.pixels, decoded(data).raster.pixels)


def test_jpeg_in_cmyk_as_adobe_writes_it_comes_out_right() -> None:
    """Adobe stores ink inverted; red stays red, and so it does without an Adobe marker."""
    for colour in ((200, 30, 40), (20, 180, 60), (250, 250, 250), (10, 10, 10)):
        ink = Image.new("RGB", (16, 16), colour).convert("CMYK")
        data = saved(ink, "jpeg", quality=100)

        assert np.abs(decoded(data).raster.pixels.astype(int) - colour).max() <= 3


def test_jpeg_with_a_cut_adobe_marker_is_fine() -> None:
    """A marker that ends before it says anything about colours is passed over."""
    data = saved(photo(), "jpeg")
    broken = data[:2] + b"\xff\xee\0\x09Adobe\0\x64" + data[2:]

    assert decoded(broken).raster.pixels.shape == (24, 32, 3)


def test_jpeg_with_endless_segments_between_scans_is_refused() -> None:
    """The walk through scans ends as well."""
    data = saved(photo(), "jpeg")
    scan = data.index(b"\xff\xda")

    bloated = data[:scan] + b"\xff\xfe\0\x02" * 9_995 + data[scan:]

    assert code_of(bloated) is FailureCode.IMAGE_METADATA_TOO_LARGE
