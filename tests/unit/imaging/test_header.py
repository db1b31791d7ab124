"""What a file is and declares, and what is refused before any decoder starts."""

import struct

import pytest
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.formats import Format
from pipeline.imaging.header import Header, Limits, inspect
from schemas.failures import FailureCode
from tests.support.images import make_pixels
from tests.support.picture_files import LIMITS, PNG_SIGNATURE, photo, png_header, saved, tiff

REFUSED_CONTENT = {
    "html": b"<!DOCTYPE html><html><body>please sign in</body></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "photoshop": b"8BPS\0\1" + bytes(20),
    "blp": b"BLP2" + bytes(280),
    "fits": b"SIMPLE  =                    T",
    "dds": b"DDS |\0\0\0" + bytes(120),
    "icns": b"icns" + bytes(20),
    "jpeg2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
    "fli": bytes(4) + b"\x11\xaf" + bytes(120),
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40),
    "heic": b"\0\0\0\x18ftypheic" + bytes(20),
    "avif": b"\0\0\0\x18ftypavif" + bytes(20),
    "jpegxl": b"\0\0\0\x0cJXL \r\n\x87\n",
    "ico": b"\0\0\1\0\1\0\x10\x10" + bytes(20),
    "text that begins like BMP": b"BMW owners manual, chapter one, the engine",
    "wave": b"RIFF\x24\0\0\0WAVEfmt " + bytes(20),
    "big tiff": b"II+\0\x08\0\0\0" + bytes(20),
}


def refusal(data: bytes, limits: Limits = LIMITS) -> JobFailed:
    """The failure that `data` is refused with."""
    with pytest.raises(JobFailed) as failed:
        inspect(data, limits)
    return failed.value


def gif(frame: tuple[int, int, int, int], before: bytes = b"", screen: tuple[int, int] = (4, 4)) -> bytes:
    """The beginning of a GIF file with one picture."""
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + before + b"," + struct.pack("<4H", *frame)


@pytest.mark.parametrize("kind", [*Format])
def test_inspect_reads_the_size_from_every_format(kind: Format) -> None:
    """Format, width and height are known from the header alone."""
    assert inspect(saved(photo(24, 33), kind), LIMITS) == Header(kind, 33, 24)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
def test_inspect_reads_all_three_kinds_of_webp(options: dict[str, object]) -> None:
    """Lossy, lossless and extended files keep their size in different places."""
    assert inspect(saved(photo(24, 33), "webp", **options), LIMITS) == Header(Format.WEBP, 33, 24)


def test_inspect_reads_bmp_of_both_generations() -> None:
    """The oldest header has 16-bit sides; later ones have a negative height when rows run downwards."""
    old = b"BM" + bytes(12) + struct.pack("<IHH", 12, 7, 5)
    downwards = b"BM" + bytes(12) + struct.pack("<Iii", 40, 7, -5)

    assert inspect(old, LIMITS) == inspect(downwards, LIMITS) == Header(Format.BMP, 7, 5)


def test_inspect_enlarges_a_gif_screen_to_its_first_picture() -> None:
    """Decoders enlarge the screen when the first picture exceeds it, so the limit must count that."""
    extensions = b"!\xf9\x04\0\0\0\0\0!\xfe\x03abc\0"

    assert inspect(gif((2, 0, 50, 4), extensions), LIMITS) == Header(Format.GIF, 52, 4)


@pytest.mark.parametrize("content", REFUSED_CONTENT.values(), ids=REFUSED_CONTENT.keys())
def test_inspect_refuses_what_is_no_picture_of_ours(content: bytes) -> None:
    """Whatever a file is called, its content decides; none of these reaches a decoder."""
    assert refusal(content).code is FailureCode.IMAGE_FORMAT_UNSUPPORTED


def test_inspect_tells_an_empty_file_from_a_broken_one() -> None:
    """No bytes at all is the source's doing, a cut signature is damage."""
    assert refusal(b"").code is FailureCode.SOURCE_EMPTY
    assert refusal(b"\x89").code is refusal(PNG_SIGNATURE[:7]).code is FailureCode.IMAGE_CORRUPT


@pytest.mark.parametrize("kind", [*Format])
def test_inspect_finds_every_cut_of_a_header(kind: Format) -> None:
    """A file that ends inside its header is refused as truncated or corrupt at every length, never misread."""
    data = saved(photo(), kind)
    codes = set()
    for length in range(8, 26):
        try:
            inspect(data[:length], LIMITS)
        except JobFailed as failed:
            codes.add(failed.code)

    assert codes
    assert codes <= {FailureCode.IMAGE_TRUNCATED, FailureCode.IMAGE_CORRUPT, FailureCode.IMAGE_FORMAT_UNSUPPORTED}


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0)])
def test_inspect_refuses_a_picture_without_pixels(width: int, height: int) -> None:
    """Zero is no side."""
    assert refusal(png_header(width, height)).code is FailureCode.IMAGE_CORRUPT


@pytest.mark.parametrize(
    ("width", "height", "field", "limit", "value"),
    [
        (16_000, 16_000, "pixels", 1_000_000, 256_000_000),
        (65_500, 65_500, "longer_side", 16_384, 65_500),
        (2**31 - 1, 1, "longer_side", 16_384, 2**31 - 1),
        (1, 1_000_000, "longer_side", 16_384, 1_000_000),
        (1000, 1001, "pixels", 1_000_000, 1_001_000),
    ],
)
def test_inspect_names_the_limit_a_large_picture_breaks(
    width: int, height: int, field: str, limit: int, value: int
) -> None:
    """The caller learns what is limited, to what, and what the file declares."""
    failed = refusal(png_header(width, height))

    assert failed.code is FailureCode.IMAGE_TOO_LARGE
    assert failed.details == {"field": field, "limit": limit, "value": value}
    assert f"{limit}, got {value}" in failed.message


def test_inspect_takes_a_picture_of_exactly_the_limit() -> None:
    """The limit itself is allowed."""
    assert inspect(png_header(1000, 1000), LIMITS) == Header(Format.PNG, 1000, 1000)


def test_inspect_refuses_strips() -> None:
    """A picture 512 times as high as wide is refused for its shape."""
    assert refusal(png_header(8, 4096)).code is FailureCode.IMAGE_ASPECT_UNSUPPORTED


def test_inspect_refuses_sides_under_the_minimum() -> None:
    """The least side is a setting; one pixel is a picture by default."""
    assert inspect(png_header(1, 1), LIMITS).width == 1
    assert refusal(png_header(7, 9), Limits(100, 100, 8, 9.0)).code is FailureCode.IMAGE_TOO_SMALL


def test_inspect_takes_microseconds_for_a_huge_declaration() -> None:
    """A 20,000 x 20,000 JPEG is refused from its frame header, whatever follows."""
    data = saved(Image.new("L", (20_000, 16)), "jpeg").replace(struct.pack(">HH", 16, 20_000), b"\x4e\x20\x4e\x20")

    assert refusal(data).details["value"] == 20_000


@pytest.mark.parametrize(
    ("frame", "precision"), [(0xC3, 8), (0xC9, 8), (0xCA, 8), (0xC1, 12)], ids=["lossless", "arith", "arith2", "12bit"]
)
def test_inspect_refuses_rare_jpeg_processes(frame: int, precision: int) -> None:
    """Lossless, arithmetic and 12-bit JPEG are named as such instead of failing somewhere in a decoder."""
    data = b"\xff\xd8\xff\xe0\0\x02\xff" + bytes((frame,)) + struct.pack(">HBHHB", 11, precision, 8, 8, 1)

    assert refusal(data).code is FailureCode.IMAGE_FORMAT_UNSUPPORTED


def test_inspect_walks_past_fill_bytes_and_junk_between_jpeg_segments() -> None:
    """Fill bytes, zero bytes and markers without content are legal between segments."""
    data = b"\xff\xd8\xff\x01\xff\xff\xff\xe0\0\x04ab\0\0\xff\xc0" + struct.pack(">HBHHB", 11, 8, 5, 7, 1)

    assert inspect(data, LIMITS) == Header(Format.JPEG, 7, 5)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\0\x02abc",
        b"GIF89a" + bytes(7) + b";",
        b"RIFF\x0c\0\0\0WEBPJUNK" + bytes(8),
    ],
    ids=["jpeg ends", "jpeg without marker", "gif ends", "webp chunk"],
)
def test_inspect_refuses_files_that_hold_no_picture(data: bytes) -> None:
    """A container without a picture is corrupt."""
    assert refusal(data).code is FailureCode.IMAGE_CORRUPT


def test_inspect_refuses_png_that_begins_with_another_chunk() -> None:
    """The header comes first or the file is none."""
    assert refusal(PNG_SIGNATURE + bytes(4) + b"IDAT" + bytes(20)).code is FailureCode.IMAGE_CORRUPT


def test_inspect_notices_webp_shorter_than_announced() -> None:
    """A WebP file says how long it is; a shorter one is truncated."""
    assert refusal(saved(photo(), "webp")[:-5]).code is FailureCode.IMAGE_TRUNCATED


def test_inspect_ends_its_walks() -> None:
    """Endless blocks before the picture are refused, not walked for ever."""
    segments = b"\xff\xd8" + b"\xff\xe0\0\x02" * 20_000
    blocks = b"GIF89a" + bytes(7) + b"!\xfe" + b"\x01a" * 20_000

    assert refusal(segments).code is refusal(blocks).code is FailureCode.IMAGE_METADATA_TOO_LARGE


@pytest.mark.parametrize(
    ("tag", "value"),
    [(259, (7,)), (259, (34_925,)), (258, (12, 12, 12)), (258, (8, 16, 8)), (339, (3, 3, 3))],
    ids=["jpeg", "lzma", "12 bits", "mixed bits", "floats"],
)
def test_inspect_refuses_exotic_tiff(tag: int, value: tuple[int, ...]) -> None:
    """Compressions and samples that we do not read are named, with what they are."""
    failed = refusal(tiff(make_pixels(4, 4), tags={tag: value}))

    assert failed.code is FailureCode.IMAGE_FORMAT_UNSUPPORTED
    assert str(max(value)) in failed.message or str(min(value)) in failed.message


def test_inspect_refuses_sixteen_bit_tiff_in_separate_planes() -> None:
    """Pillow shows such files wrongly without saying so."""
    assert refusal(tiff(make_pixels(4, 4, depth=16), tags={284: (2,)})).code is FailureCode.IMAGE_FORMAT_UNSUPPORTED


def test_inspect_refuses_tiff_without_a_size() -> None:
    """Without a width there is no picture."""
    assert refusal(tiff(make_pixels(4, 4), tags={256: ()})).code is FailureCode.IMAGE_CORRUPT
