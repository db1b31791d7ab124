"""Rasters become files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.errors import JobFailed
from pipeline.imaging.decode import decode
from pipeline.imaging.encode import _rounded, check_output, encode
from pipeline.imaging.raster import Raster
from schemas.failures import FailureCode
from schemas.options import OutputFormat
from tests.support.images import make_pixels, make_raster
from tests.support.picture_files import LIMITS, exif, photo

PHOTO = Raster(np.asarray(photo(120, 160)))


def opened(data: bytes) -> Image.Image:
    """`data` as another program sees it."""
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("output_format", OutputFormat)
def test_encode_writes_what_others_read(output_format: OutputFormat) -> None:
    """The file is of the format asked for, of the raster's size, and looks like it."""
    encoded = encode(PHOTO, output_format, 95)

    image = opened(encoded.data)
    assert (image.format.lower(), image.size) == (output_format.value, (160, 120))
    assert (encoded.format, encoded.width, encoded.height, encoded.warnings) == (output_format, 160, 120, ())
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - PHOTO.pixels).mean() < 12


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_encode_png_keeps_every_bit(*, depth: int, grey: bool, alpha: bool) -> None:
    """All eight kinds of raster come back from PNG unchanged."""
    raster = make_raster(33, 21, grey=grey, alpha=alpha, depth=depth)

    again = decode(encode(raster, OutputFormat.PNG, 1).data, LIMITS, keep_exif=False).raster

    assert again.pixels.dtype == raster.pixels.dtype
    assert np.array_equal(again.pixels, raster.pixels)
    assert np.array_equal(again.alpha, raster.alpha) if alpha else again.alpha is None


def test_encode_png_in_many_strips_keeps_every_bit() -> None:
    """Strips follow one another without a seam."""
    raster = make_raster(2100, 700)

    assert np.array_equal(np.asarray(opened(encode(raster, OutputFormat.PNG, 1).data)), raster.pixels)


def test_encode_png_takes_rows_longer_than_a_strip() -> None:
    """A row that exceeds the size of a strip is a strip of its own."""
    raster = make_raster(3, 400_000)

    assert np.array_equal(np.asarray(opened(encode(raster, OutputFormat.PNG, 1).data)), raster.pixels)


@pytest.mark.parametrize("output_format", OutputFormat)
def test_encode_marks_colour_as_srgb(output_format: OutputFormat) -> None:
    """Whoever manages colour finds sRGB named in the file."""
    info = opened(encode(PHOTO, output_format, 90).data).info

    if output_format is OutputFormat.PNG:
        assert "srgb" in info
    else:
        assert "sRGB" in ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(info["icc_profile"])))


@pytest.mark.parametrize("output_format", [OutputFormat.JPEG, OutputFormat.WEBP])
def test_encode_gives_the_same_bytes_at_any_time(output_format: OutputFormat) -> None:
    """A repeated job stores the same object: the date in the profile is not today's."""
    profile = opened(encode(PHOTO, output_format, 90).data).info["icc_profile"]

    assert struct.unpack_from(">6H", profile, 24) == (1999, 10, 18, 0, 0, 0)


@pytest.mark.parametrize("output_format", OutputFormat)
def test_encode_writes_no_metadata_of_its_own(output_format: OutputFormat) -> None:
    """Without EXIF in the raster there is none in the file."""
    assert not dict(opened(encode(PHOTO, output_format, 90).data).getexif())


@pytest.mark.parametrize("output_format", OutputFormat)
def test_encode_carries_exif(output_format: OutputFormat) -> None:
    """The raster's EXIF block arrives in every format."""
    raster = Raster(PHOTO.pixels, exif=exif(make="Maker"))

    assert opened(encode(raster, output_format, 90).data).getexif()[0x010F] == "Maker"


def test_encode_jpeg_lays_alpha_on_white_and_says_so() -> None:
    """Transparent becomes white, half transparent half so, opaque stays."""
    pixels = np.zeros((16, 48, 3), dtype=np.uint8)
    alpha = np.repeat(np.array([[0, 128, 255]], dtype=np.uint8), 16, axis=1).repeat(16, axis=0)

    encoded = encode(Raster(pixels, alpha), OutputFormat.JPEG, 100)

    shades = np.asarray(opened(encoded.data))[8, 8::16, 0]
    assert np.abs(shades.astype(int) - (255, 127, 0)).max() <= 1
    assert encoded.warnings == ("alpha_flattened",)


@pytest.mark.parametrize("grey", [False, True])
def test_encode_webp_keeps_alpha(*, grey: bool) -> None:
    """WebP has alpha; it is stored without loss."""
    raster = make_raster(16, 16, grey=grey, alpha=True)

    assert np.array_equal(np.asarray(opened(encode(raster, OutputFormat.WEBP, 80).data))[..., 3], raster.alpha)


@pytest.mark.parametrize("output_format", [OutputFormat.JPEG, OutputFormat.WEBP])
def test_encode_rounds_sixteen_bits_where_the_format_has_eight(output_format: OutputFormat) -> None:
    """Samples are rounded, not cut, and the warning says that depth was lost."""
    levels = np.array([0, 128, 129, 65_406, 65_407, 65_535], dtype=np.uint16)
    raster = Raster(levels.repeat(16)[None, :, None].repeat(16, axis=0))

    encoded = encode(raster, output_format, 100)

    shades = np.asarray(opened(encoded.data).convert("L"))[8, 8::16]
    assert np.abs(shades.astype(int) - (0, 0, 1, 254, 255, 255)).max() <= 1
    assert encoded.warnings == ("depth_reduced",)


def test_encode_rounds_every_level_to_the_nearest() -> None:
    """All 65,536 levels go to the nearest of 256."""
    levels = np.arange(65_536, dtype=np.uint16)

    assert np.array_equal(_rounded(levels), np.rint(levels / 257))


def test_encode_jpeg_reduces_both_depth_and_alpha() -> None:
    """Both losses are named."""
    encoded = encode(make_raster(8, 8, alpha=True, depth=16), OutputFormat.JPEG, 90)

    assert encoded.warnings == ("depth_reduced", "alpha_flattened")


def test_encode_jpeg_stores_grey_as_grey() -> None:
    """One channel stays one channel."""
    assert opened(encode(make_raster(8, 8, grey=True), OutputFormat.JPEG, 90).data).mode == "L"


def test_encode_jpeg_keeps_full_colour_at_the_highest_qualities_only() -> None:
    """Up to quality 95 colour has half resolution; above, all of it."""
    halved, full = (opened(encode(PHOTO, OutputFormat.JPEG, quality).data) for quality in (95, 96))

    assert [component[1] for component in halved.layer] == [2, 1, 1]
    assert [component[1] for component in full.layer] == [1, 1, 1]


def test_encode_spends_bytes_on_quality() -> None:
    """A higher quality is a larger file."""
    for output_format in (OutputFormat.JPEG, OutputFormat.WEBP):
        low, high = (len(encode(PHOTO, output_format, quality).data) for quality in (30, 95))
        assert low < high


@pytest.mark.parametrize(("output_format", "limit"), [(OutputFormat.JPEG, 65_500), (OutputFormat.WEBP, 16_383)])
def test_encode_refuses_sides_beyond_the_format(output_format: OutputFormat, limit: int) -> None:
    """The longest side that a format can hold is written; one pixel more names the limit."""
    assert opened(encode(Raster(make_pixels(1, limit)), output_format, 80).data).size == (limit, 1)

    with pytest.raises(JobFailed) as failed:
        encode(Raster(make_pixels(1, limit + 1)), output_format, 80)

    assert failed.value.code is FailureCode.OUTPUT_TOO_LARGE
    assert failed.value.details == {"field": f"{output_format}_side", "limit": limit, "value": limit + 1}


@pytest.mark.parametrize(
    ("width", "height", "output_format", "field"),
    [
        (20_001, 20_000, OutputFormat.PNG, "pixels"),
        (16_384, 10, OutputFormat.WEBP, "webp_side"),
        (10, 65_501, OutputFormat.JPEG, "jpeg_side"),
    ],
)
def test_check_output_refuses_before_anything_is_computed(
    width: int, height: int, output_format: OutputFormat, field: str
) -> None:
    """Pixels and sides are checked from numbers alone."""
    with pytest.raises(JobFailed) as failed:
        check_output(width, height, output_format, 400_000_000)

    assert (failed.value.code, failed.value.details["field"]) == (FailureCode.OUTPUT_TOO_LARGE, field)


def test_check_output_takes_what_is_within_limits() -> None:
    """At the limits everything is allowed."""
    check_output(20_000, 20_000, OutputFormat.PNG, 400_000_000)
    check_output(16_383, 16_383, OutputFormat.WEBP, 400_000_000)
