"""What a file carries beside its picture may be broken: the picture comes out all the same."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.imaging.decode import Decoded, decode
from pipeline.imaging.formats import Format
from tests.support.images import make_pixels
from tests.support.picture_files import LIMITS, chunk, exif, photo, saved, tiff

CARRIERS = [Format.JPEG, Format.PNG, Format.WEBP]
"""Of an EXIF block of its own; a TIFF file is one."""
UNREADABLE = [b"garbage garbage!", b"II*\0", b"II\0\0\0\0\0\0", bytes(32)]
ICC, XMP, EXIF_DIRECTORY, GPS_DIRECTORY = 34_675, 700, 34_665, 34_853
ASCII, SHORT, RATIONAL, SIGNED, FLOAT = 2, 3, 5, 9, 11


def decoded(data: bytes, *, keep_exif: bool = False) -> Decoded:
    """`data` decoded under the usual limits."""
    return decode(data, LIMITS, keep_exif=keep_exif)


def with_exif(kind: Format, block: bytes) -> bytes:
    """The picture with `block` as its EXIF."""
    return saved(photo(), kind, exif=b"Exif\0\0" + block)


def directory(tag: int, kind: int, content: bytes) -> bytes:
    """An EXIF block of one entry."""
    return b"II*\0" + struct.pack("<IHHHI", 8, 1, tag, kind, 1) + content.ljust(4, b"\0") + bytes(4)


def with_segment(code: int, content: bytes) -> bytes:
    """A JPEG that begins with a segment of this content."""
    data = saved(photo(), "jpeg")
    return data[:2] + struct.pack(">BBH", 0xFF, code, len(content) + 2) + content + data[2:]


def with_entry(tag: int, kind: int, value: int) -> bytes:
    """A TIFF with a tag of a type that it should not have."""
    as_long = struct.pack("<HHI", tag, 4, 1)
    return tiff(make_pixels(24, 32), tags={tag: (value,)}).replace(as_long, struct.pack("<HHI", tag, kind, 1))


@pytest.mark.parametrize("block", UNREADABLE)
@pytest.mark.parametrize("kind", CARRIERS)
def test_picture_with_unreadable_exif_is_taken_as_upright(kind: Format, block: bytes) -> None:
    result = decoded(with_exif(kind, block))

    assert np.array_equal(result.raster.pixels, decoded(saved(photo(), kind)).raster.pixels)
    assert result.warnings == ()


@pytest.mark.parametrize("block", UNREADABLE)
@pytest.mark.parametrize("kind", CARRIERS)
def test_unreadable_exif_that_was_to_be_kept_is_dropped_with_a_warning(kind: Format, block: bytes) -> None:
    result = decoded(with_exif(kind, block), keep_exif=True)

    assert (result.raster.exif, result.warnings) == (None, ("exif_dropped",))


@pytest.mark.parametrize(
    "block",
    [
        directory(0x0131, RATIONAL, struct.pack("<I", 8)),
        directory(0x0132, FLOAT, struct.pack("<f", float("nan"))),
        directory(EXIF_DIRECTORY, SIGNED, b"\xff\xff\xff\xff"),
    ],
    ids=["rational as text", "no number as text", "directory before the file"],
)
@pytest.mark.parametrize("kind", CARRIERS)
def test_exif_that_cannot_be_written_again_is_dropped_with_a_warning(kind: Format, block: bytes) -> None:
    data = with_exif(kind, block)

    assert decoded(data).warnings == ()
    assert decoded(data, keep_exif=True).warnings == ("exif_dropped",)


@pytest.mark.parametrize("tag", [EXIF_DIRECTORY, GPS_DIRECTORY])
def test_tiff_whose_exif_directory_lies_nowhere_is_decoded(tag: int) -> None:
    """The decoder would read these directories together with the picture."""
    data = with_entry(tag, SIGNED, 0xFFFFFFFF)

    assert np.array_equal(decoded(data).raster.pixels, make_pixels(24, 32))
    assert decoded(data, keep_exif=True).warnings == ("exif_dropped",)


@pytest.mark.parametrize("kind", [ASCII, SHORT, RATIONAL, SIGNED, FLOAT])
def test_tiff_whose_profile_is_no_bytes_is_decoded_with_a_warning(kind: int) -> None:
    result = decoded(with_entry(ICC, kind, 8))

    assert np.array_equal(result.raster.pixels, make_pixels(24, 32))
    assert result.warnings == ("icc_ignored",)


@pytest.mark.parametrize("kind", [ASCII, SHORT, RATIONAL, SIGNED, FLOAT])
def test_tiff_whose_xmp_is_no_bytes_is_decoded(kind: int) -> None:
    assert np.array_equal(decoded(with_entry(XMP, kind, 8)).raster.pixels, make_pixels(24, 32))


@pytest.mark.parametrize(
    ("code", "content"),
    [
        (0xE0, b"JFIF"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0\xc3\x28"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"MPF\0"),
        (0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
        (0xEE, b"Adobe"),
        (0xFE, b"\xc3\x28"),
    ],
)
def test_jpeg_with_an_application_segment_that_is_cut_short_is_decoded(code: int, content: bytes) -> None:
    result = decoded(with_segment(code, content))

    assert np.array_equal(result.raster.pixels, decoded(saved(photo(), "jpeg")).raster.pixels)
    assert result.warnings == ()


def test_jpeg_with_parts_of_a_profile_is_decoded_with_a_warning() -> None:
    assert decoded(with_segment(0xE2, b"ICC_PROFILE\0\1\2" + bytes(300))).warnings == ("icc_ignored",)


def test_jpeg_segment_that_says_what_colours_are_reaches_the_decoder() -> None:
    """Adobe's, with transform 0: the three components are red, green and blue as they are."""
    data = saved(photo(), "jpeg")
    jfif_end = 4 + int.from_bytes(data[4:6], "big")
    untransformed = data[:2] + b"\xff\xee\x00\x0eAdobe\0\x64" + bytes(5) + data[jfif_end:]

    shown = np.asarray(Image.open(io.BytesIO(untransformed)))

    assert np.array_equal(decoded(untransformed).raster.pixels, shown)
    assert not np.array_equal(decoded(data).raster.pixels, shown)


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
def test_broken_profile_is_ignored_with_a_warning(kind: Format) -> None:
    result = decoded(saved(photo(), kind, icc_profile=b"garbage garbage!"))

    assert np.array_equal(result.raster.pixels, decoded(saved(photo(), kind)).raster.pixels)
    assert result.warnings == ("icc_ignored",)


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"gAMA", b"cHRM", b"pHYs", b"tIME"])
def test_png_with_a_broken_chunk_beside_its_picture_is_decoded(name: bytes) -> None:
    data = saved(photo(), "png")

    result = decoded(data[:33] + chunk(name, b"\xc3\x28") + data[33:])

    assert np.array_equal(result.raster.pixels, np.asarray(photo()))
    assert result.warnings == ()


@pytest.mark.parametrize("kind", CARRIERS)
def test_sound_exif_still_turns_the_picture(kind: Format) -> None:
    assert decoded(with_exif(kind, exif(6))).raster.height == 32
