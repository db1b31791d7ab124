"""Bytes become rasters, or failures with a code."""

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.decode import Decoded, _translated, decode
from pipeline.imaging.formats import Format
from pipeline.imaging.header import Header, Limits
from pipeline.imaging.reading import read
from schemas.failures import FailureCode
from tests.support.images import make_pixels
from tests.support.picture_files import LIMITS, exif, photo, saved, tiff

COMPRESSED = [Format.JPEG, Format.PNG, Format.WEBP, Format.GIF]


def decoded(data: bytes, *, keep_exif: bool = False) -> Decoded:
    """`data` decoded under the usual limits."""
    return decode(data, LIMITS, keep_exif=keep_exif)


def code_of(data: bytes) -> FailureCode:
    """The code `data` fails with."""
    with pytest.raises(JobFailed) as failed:
        decoded(data)
    return failed.value.code


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """How a camera stores `image` so that a viewer that honours `orientation` shows it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return image.transpose(undo[orientation]) if orientation in undo else image


@pytest.mark.parametrize("kind", [Format.PNG, Format.BMP, Format.TIFF])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_decode_gives_the_samples_of_lossless_files(kind: Format, mode: str) -> None:
    """Bilevel, grey, palette and RGB come out as the colours a viewer shows."""
    image = photo().convert(mode)

    raster = decoded(saved(image, kind)).raster

    expected = np.asarray(image.convert("L" if mode in "1L" else "RGB"))
    assert np.array_equal(raster.pixels.squeeze(), expected)
    assert raster.alpha is None


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.GIF])
def test_decode_reads_lossy_files_as_their_decoder_does(kind: Format) -> None:
    """A sound file gives what Pillow shows."""
    data = saved(photo(), kind)

    assert np.array_equal(decoded(data).raster.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("kind", [Format.PNG, Format.TIFF, Format.WEBP])
def test_decode_keeps_alpha_and_the_colour_beneath(kind: Format) -> None:
    """Colour under transparent pixels is neither weighted nor lost."""
    pixels = make_pixels(20, 30, 4)
    pixels[:10, :, 3] = 0
    options = {"lossless": True, "exact": True} if kind is Format.WEBP else {}

    raster = decoded(saved(Image.fromarray(pixels), kind, **options)).raster

    assert np.array_equal(raster.pixels, pixels[..., :3])
    assert np.array_equal(raster.alpha, pixels[..., 3])


def test_decode_reads_transparent_gif_as_alpha() -> None:
    """The transparent index becomes alpha 0."""
    image = Image.new("P", (6, 5), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putpixel((2, 3), 0)

    raster = decoded(saved(image, "gif", transparency=0)).raster

    assert raster.pixels[0, 0].tolist() == [200, 100, 50]
    assert (raster.alpha == 0).nonzero() == ([3], [2])


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_turns_pictures_upright(kind: Format, orientation: int) -> None:
    """All eight orientations, in all formats that can carry them."""
    image = photo(40, 64)
    data = saved(turned(image, orientation), kind, exif=b"Exif\0\0" + exif(orientation))

    raster = decoded(data).raster

    assert (raster.width, raster.height) == (64, 40)
    assert np.abs(raster.pixels.astype(int) - np.asarray(image)).mean() < 20


@pytest.mark.parametrize("order", ["<", ">"])
def test_decode_turns_sixteen_bit_tiff_once(order: Literal["<", ">"]) -> None:
    """The decoder turns TIFF itself; it is not turned a second time."""
    pixels = make_pixels(3, 5, depth=16)

    raster = decoded(tiff(pixels, order=order, tags={274: (6,)})).raster

    assert np.array_equal(raster.pixels, np.rot90(pixels, -1))


@pytest.mark.parametrize("block", [exif(9), b"garbage", b"MM\0*\xff\xff\xff\xff", exif(1, copyright="x" * 60_000)])
def test_decode_ignores_exif_that_makes_no_sense(block: bytes) -> None:
    """An unknown orientation, garbage and very long blocks leave the picture as it is stored."""
    data = saved(photo(), "jpeg", exif=b"Exif\0\0" + block)

    assert decoded(data).raster.height == 24


def test_decode_strips_metadata_unless_asked() -> None:
    """No EXIF leaves with the raster by default."""
    assert decoded(saved(photo(), "jpeg", exif=b"Exif\0\0" + exif(3, make="M"))).raster.exif is None


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
def test_decode_keeps_exif_without_what_no_longer_holds(kind: Format) -> None:
    """Maker and place stay; orientation, sizes and the source's sample layout go."""
    data = saved(turned(photo(), 6), kind, exif=b"Exif\0\0" + exif(6, make="Maker"))

    block = Image.Exif()
    block.load(decoded(data, keep_exif=True).raster.exif)

    assert dict(block).keys() == {0x010F, 0x8769, 0x8825}
    assert block[0x010F] == "Maker"
    assert block.get_ifd(0x8825)[1] == "N"
    assert block.get_ifd(0x8769) == {0x9003: "2024:01:02 03:04:05"}


def test_decode_says_when_exif_is_too_long_to_keep() -> None:
    """A block that fits no JPEG segment is dropped with a warning."""
    result = decoded(saved(photo(), "png", exif=b"Exif\0\0" + exif(1, copyright="x" * 70_000)), keep_exif=True)

    assert (result.raster.exif, result.warnings) == (None, ("exif_dropped",))


@pytest.mark.parametrize("kind", [Format.GIF, Format.WEBP, Format.PNG])
def test_decode_takes_the_first_picture_of_an_animation(kind: Format) -> None:
    """The first picture is decoded, and the warning says that there were more."""
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("red", "lime", "blue")]

    result = decoded(saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))

    assert result.warnings == ("animation_dropped",)
    assert np.abs(result.raster.pixels.astype(int) - (255, 0, 0)).max() <= 1


def test_decode_takes_the_first_page_of_a_tiff() -> None:
    """Further pages are dropped with a warning; a directory that points at itself is one page."""
    pages = [photo(), photo(8, 8)]
    start = int.from_bytes(tiff(make_pixels(4, 4))[4:8], "little")

    assert decoded(saved(pages[0], "tiff", save_all=True, append_images=pages[1:])).warnings == ("pages_dropped",)
    assert decoded(tiff(make_pixels(4, 4), following=start)).warnings == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_decode_keeps_all_bits_of_sixteen_bit_tiff(order: Literal["<", ">"], channels: int) -> None:
    """Every one of the 16 bits survives, in both byte orders."""
    pixels = make_pixels(9, 7, channels, depth=16)
    extra = {338: (2,)} if channels == 4 else {}

    raster = decoded(tiff(pixels, order=order, photometric=1 if channels == 1 else 2, tags=extra)).raster

    assert raster.pixels.dtype == np.uint16
    assert np.array_equal(raster.pixels, pixels[..., :3])
    assert channels < 4 or np.array_equal(raster.alpha, pixels[..., 3])


def test_decode_keeps_all_bits_of_compressed_tiff() -> None:
    """Compressed 16-bit colour takes another way through the decoder and loses nothing either."""
    pixels = make_pixels(9, 7, depth=16)
    packed = b"".join(bytes((0, byte)) for byte in pixels.astype("<u2").tobytes())

    assert np.array_equal(decoded(tiff(pixels, strip=packed, tags={259: (32_773,)})).raster.pixels, pixels)


def test_decode_inverts_sixteen_bit_tiff_whose_white_is_zero() -> None:
    """White is zero at 16 bits too, though the decoder forgets it there."""
    pixels = make_pixels(3, 4, 1, depth=16)

    assert np.array_equal(decoded(tiff(pixels, photometric=0)).raster.pixels, 65_535 - pixels)


def test_decode_says_when_it_has_to_reduce_depth() -> None:
    """16-bit CMYK comes out in 8 bits, with a warning."""
    result = decoded(tiff(make_pixels(4, 4, 4, depth=16), photometric=5))

    assert (result.raster.bit_depth, result.warnings) == (8, ("depth_reduced",))


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP, Format.GIF, Format.BMP])
@pytest.mark.parametrize("part", [0.5, 0.99])
def test_decode_refuses_truncated_files(kind: Format, part: float) -> None:
    """A file that ends early is an error, never a picture with grey or black in it."""
    data = saved(photo(200, 300), kind)

    assert code_of(data[: int(len(data) * part)]) is FailureCode.IMAGE_TRUNCATED


def test_decode_refuses_truncated_tiff() -> None:
    """A strip that reaches past the end of the file is an error."""
    assert code_of(tiff(make_pixels(50, 50), tags={273: (5000,)})) in {
        FailureCode.IMAGE_TRUNCATED,
        FailureCode.IMAGE_CORRUPT,
    }


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.GIF])
def test_decode_takes_nothing_from_what_follows_the_picture(kind: Format) -> None:
    """A file with an archive or a script behind its end is the picture alone."""
    data = saved(photo(), kind)

    tailed = decoded(data + b"PK\x03\x04<?php system($_GET['c']); ?>")

    assert np.array_equal(tailed.raster.pixels, decoded(data).raster.pixels)


def test_decode_applies_the_limits_before_decoding() -> None:
    """The same file is fine under one limit and refused under another."""
    with pytest.raises(JobFailed) as failed:
        decode(saved(photo(), "png"), Limits(100, 100, 1, 200.0), keep_exif=False)

    assert failed.value.code is FailureCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.GIF, Format.BMP, Format.TIFF])
def test_decode_refuses_a_file_that_declares_two_sizes(kind: Format) -> None:
    """What the limits were checked against must be what is decoded."""
    with pytest.raises(JobFailed, match="two different sizes") as failed:
        read(saved(photo(24, 32), kind), Header(kind, 33, 24))

    assert failed.value.code is FailureCode.IMAGE_CORRUPT


def test_decode_takes_the_first_picture_when_the_second_is_broken() -> None:
    """What is dropped anyway need not be sound."""
    data = bytearray(saved(photo(), "gif", save_all=True, append_images=[photo().rotate(90)]))
    second = data.rindex(b"!\xf9\x04")
    data[second + 8 :] = b",\xff"

    assert decoded(bytes(data)).warnings == ("animation_dropped",)


def test_decode_says_when_memory_is_too_short() -> None:
    """Running out of memory is the picture's complexity, not damage to it."""
    with pytest.raises(JobFailed) as failed, _translated(Format.PNG):
        np.empty(2**62, dtype=np.uint8)

    assert failed.value.code is FailureCode.IMAGE_TOO_COMPLEX


def test_decode_tells_no_library_words() -> None:
    """What a decoder says about a broken file stays inside."""
    data = bytearray(saved(photo(), "bmp"))
    data[28] = 77

    with pytest.raises(JobFailed) as failed:
        decoded(bytes(data))

    assert failed.value.message == "source: the bmp file is damaged"


@pytest.mark.parametrize("mode", ["I", "F"])
def test_decode_refuses_numbers_that_are_no_colour(mode: str) -> None:
    """32-bit integers and floats have no agreed range."""
    assert code_of(saved(Image.new(mode, (4, 4)), "tiff")) is FailureCode.IMAGE_FORMAT_UNSUPPORTED
