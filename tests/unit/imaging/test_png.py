"""PNG as hostile servers send it, at every depth."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.decode import Decoded, decode
from schemas.failures import FailureCode
from tests.support.images import make_pixels
from tests.support.picture_files import (
    GREY,
    GREY_ALPHA,
    LIMITS,
    PALETTE,
    PNG_SIGNATURE,
    RGB,
    RGB_ALPHA,
    bomb_chunk,
    chunk,
    photo,
    png,
    png_header,
    saved,
)

PICTURE = make_pixels(6, 7)
CHANNELS = {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGB_ALPHA: 4}


def decoded(data: bytes) -> Decoded:
    """`data` decoded under the usual limits."""
    return decode(data, LIMITS, keep_exif=False)


def code_of(data: bytes) -> FailureCode:
    """The code `data` fails with."""
    with pytest.raises(JobFailed) as failed:
        decoded(data)
    return failed.value.code


@pytest.mark.parametrize("kind", CHANNELS)
def test_png_keeps_all_sixteen_bits(kind: int) -> None:
    """Every bit of every sample survives, for grey and colour, with and without alpha."""
    samples = make_pixels(9, 11, CHANNELS[kind], depth=16)

    raster = decoded(png(samples, kind, 16)).raster

    colours = CHANNELS[kind] - (kind in (GREY_ALPHA, RGB_ALPHA))
    assert raster.pixels.dtype == np.uint16
    assert np.array_equal(raster.pixels, samples[..., :colours])
    assert kind in (GREY, RGB) or np.array_equal(raster.alpha, samples[..., -1])


def test_png_depth_is_told_by_the_file_and_never_by_its_brightness() -> None:
    """A dark 16-bit picture, no sample above 256, is a 16-bit picture and stays dark."""
    samples = make_pixels(9, 11).astype(np.uint16)

    raster = decoded(png(samples, RGB, 16)).raster

    assert raster.bit_depth == 16
    assert np.array_equal(raster.pixels, samples)


def test_png_keeps_sixteen_bits_of_filtered_and_interlaced_rows() -> None:
    """All five filters and all seven passes are undone on both halves of a sample."""
    samples = make_pixels(9, 11, depth=16)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b""
    for left, top, across, down in passes:
        above = None
        for number, row in enumerate(samples[top::down, left::across]):
            if row.size:
                line = np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
                rows += _filtered(line, np.zeros_like(line) if above is None else above, number % 5)
                above = line
    data = png_header(11, 9, 16, RGB, interlace=1) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    assert np.array_equal(decoded(data).raster.pixels, samples)


def test_png_of_one_pixel_may_be_interlaced() -> None:
    """Passes without pixels have no rows."""
    data = png_header(1, 1, 8, GREY, interlace=1) + chunk(b"IDAT", zlib.compress(b"\0\x55")) + chunk(b"IEND", b"")

    assert decoded(data).raster.pixels.tolist() == [[[0x55]]]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_png_spreads_few_grey_levels_over_eight_bits(depth: int) -> None:
    """The brightest of few levels is white."""
    samples = make_pixels(5, 13, 1) >> (8 - depth)

    assert np.array_equal(decoded(png(samples, GREY, depth)).raster.pixels, samples * (255 // (2**depth - 1)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_resolves_palettes_with_alpha(depth: int) -> None:
    """Palette colours come with the alpha of their entry; entries without one are opaque."""
    indices = make_pixels(5, 13, 1) % min(2**depth, 4)
    palette = np.arange(3 * 2**depth, dtype=np.uint8).reshape(-1, 3)
    before = chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", bytes((7,)))

    raster = decoded(png(indices, PALETTE, depth, before=before)).raster

    assert np.array_equal(raster.pixels, palette[indices[..., 0]])
    assert np.array_equal(raster.alpha, np.where(indices[..., 0] == 0, 7, 255))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_makes_a_transparent_grey_alpha(depth: int) -> None:
    """Exactly the named level is transparent, compared at the file's own depth."""
    samples = make_pixels(8, 16, 1, depth=16) >> (16 - depth)
    key = int(samples[3, 3, 0])

    raster = decoded(png(samples, GREY, depth, before=chunk(b"tRNS", struct.pack(">H", key)))).raster

    assert np.array_equal(raster.alpha == 0, samples[..., 0] == key)
    assert raster.alpha.max() == (65_535 if depth == 16 else 255)


@pytest.mark.parametrize("depth", [8, 16])
def test_png_makes_a_transparent_colour_alpha(depth: int) -> None:
    """A colour is transparent when all three of its samples are the named ones."""
    samples = make_pixels(8, 16, depth=depth)
    samples[2, 2] = samples[5, 5]
    samples[6, 6] = samples[5, 5]
    samples[6, 6, 2] ^= 1

    raster = decoded(png(samples, RGB, depth, before=chunk(b"tRNS", struct.pack(">3H", *samples[5, 5])))).raster

    assert np.argwhere(raster.alpha == 0).tolist() == [[2, 2], [5, 5]]


@pytest.mark.parametrize(
    "name_and_prefix",
    [(b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0"), (b"iCCP", b"p\0\0")],
    ids=["zTXt", "iTXt", "iCCP"],
)
def test_png_survives_compressed_bombs_in_metadata(name_and_prefix: tuple[bytes, bytes]) -> None:
    """Text is never inflated, a profile not beyond its limit: the picture is fine, and only the profile is missed."""
    result = decoded(png(PICTURE, before=bomb_chunk(*name_and_prefix)))

    assert np.array_equal(result.raster.pixels, PICTURE)
    assert result.warnings == (("icc_ignored",) if name_and_prefix[0] == b"iCCP" else ())


def test_png_with_very_many_chunks_is_decoded_or_refused() -> None:
    """100,000 empty chunks are walked past; beyond the limit a file is refused."""
    assert np.array_equal(decoded(png(PICTURE, before=chunk(b"teXt", b"") * 100_000)).raster.pixels, PICTURE)
    assert code_of(png(PICTURE, before=chunk(b"teXt", b"") * 200_001)) is FailureCode.IMAGE_METADATA_TOO_LARGE


def test_png_takes_picture_data_in_many_small_chunks() -> None:
    """Picture data may be cut anywhere, even into single bytes and nothing."""
    whole = png(PICTURE)
    start = whole.index(b"IDAT")
    content = whole[start + 4 : whole.index(b"IEND") - 8]
    pieces = b"".join(chunk(b"IDAT", content[at : at + 1]) + chunk(b"IDAT", b"") for at in range(len(content)))

    assert np.array_equal(decoded(whole[: start - 4] + pieces + chunk(b"IEND", b"")).raster.pixels, PICTURE)


def test_png_with_a_wrong_checksum_in_its_picture_is_corrupt() -> None:
    """Picture data whose checksum does not hold are not shown, though the decoder would show them."""
    data = bytearray(png(PICTURE))
    data[-13] ^= 1

    assert code_of(bytes(data)) is FailureCode.IMAGE_CORRUPT


def test_png_with_a_wrong_checksum_in_metadata_is_fine() -> None:
    """Metadata that do not hold are left out, and the picture is decoded."""
    broken = chunk(b"tEXt", b"Comment\0x", checksum=1) + chunk(b"eXIf", b"MM", checksum=2)

    assert np.array_equal(decoded(png(PICTURE, before=broken)).raster.pixels, PICTURE)


def test_png_with_unknown_critical_chunk_is_corrupt() -> None:
    """A chunk that a decoder must understand, and we do not, forbids showing the picture."""
    assert code_of(png(PICTURE, before=chunk(b"XYZW", b""))) is FailureCode.IMAGE_CORRUPT


def test_png_with_garbage_for_picture_data_is_corrupt() -> None:
    """What does not inflate is no picture."""
    data = png_header(7, 6) + chunk(b"IDAT", b"not a zlib stream at all") + chunk(b"IEND", b"")

    assert code_of(data) is FailureCode.IMAGE_CORRUPT


@pytest.mark.parametrize("rows", [0, 3, 5])
def test_png_with_missing_rows_is_truncated(rows: int) -> None:
    """A picture that ends between two rows is an error, though the decoder would make the rest black."""
    assert code_of(png(PICTURE, keep=rows * 22)) is FailureCode.IMAGE_TRUNCATED


def test_png_with_surplus_data_is_fine() -> None:
    """Bytes after the last row are ignored, as everyone does."""
    rows = b"".join(b"\0" + row.tobytes() for row in PICTURE) + bytes(1000)
    data = png_header(7, 6) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    assert np.array_equal(decoded(data).raster.pixels, PICTURE)


@pytest.mark.parametrize("keep", [-1, -12, -13, -30, 40])
def test_png_cut_anywhere_is_truncated(keep: int) -> None:
    """Without its end chunk a file is incomplete."""
    assert code_of(png(PICTURE)[:keep]) is FailureCode.IMAGE_TRUNCATED


@pytest.mark.parametrize(
    "fields",
    [(3, RGB, 0), (16, PALETTE, 0), (8, 5, 0), (8, RGB, 2)],
    ids=["depth", "palette depth", "colour type", "interlace"],
)
def test_png_whose_header_describes_no_png_is_corrupt(fields: tuple[int, int, int]) -> None:
    """Only the combinations of the specification exist."""
    depth, kind, interlace = fields
    data = png_header(7, 6, depth, kind, interlace) + chunk(b"IDAT", zlib.compress(bytes(500))) + chunk(b"IEND", b"")

    assert code_of(data) is FailureCode.IMAGE_CORRUPT


def test_png_whose_header_is_too_short_is_corrupt() -> None:
    """A header of 12 bytes has the size in place and is none."""
    data = PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBB", 7, 6, 8, RGB, 0, 0)) + chunk(b"IEND", b"")

    assert code_of(data) is FailureCode.IMAGE_CORRUPT


def test_png_without_the_palette_it_needs_is_corrupt() -> None:
    """Indices into nothing are no colours."""
    assert code_of(png(make_pixels(4, 4, 1), PALETTE)) is FailureCode.IMAGE_CORRUPT


@pytest.mark.parametrize("control", [b"\0\0\0\1\0\0\0\0", b"\0\0"])
def test_png_animation_of_one_picture_is_none(control: bytes) -> None:
    """Only more than one frame is something dropped; a broken control chunk announces nothing."""
    assert decoded(png(PICTURE, before=chunk(b"acTL", control))).warnings == ()


def test_png_with_frames_out_of_order_gives_its_default_picture() -> None:
    """Frame chunks in a wrong order cannot hurt, because none is read."""
    frames = chunk(b"fcTL", bytes(26)) + chunk(b"fdAT", b"\0\0\0\5x") + chunk(b"fcTL", bytes(3))
    data = png(PICTURE, before=chunk(b"acTL", struct.pack(">II", 9, 0)) + frames, after=frames)

    assert np.array_equal(decoded(data).raster.pixels, PICTURE)
    assert decoded(data).warnings == ("animation_dropped",)


@pytest.mark.parametrize("content", [b"no end of name", b"name\0\0not zlib", b"name\0"])
def test_png_with_a_broken_profile_chunk_is_fine(content: bytes) -> None:
    """A profile that cannot even be unpacked leaves the picture as it is."""
    assert np.array_equal(decoded(png(PICTURE, before=chunk(b"iCCP", content))).raster.pixels, PICTURE)


def test_png_of_pillow_decodes_to_the_same_samples() -> None:
    """Filtered and compressed by another's hand, it is the same picture."""
    image = photo(100, 130)

    assert np.array_equal(decoded(saved(image, "png", optimize=True)).raster.pixels, np.asarray(image))


def test_png_default_picture_of_two_bilevel_colours_is_grey() -> None:
    """A bilevel file is a grey raster."""
    assert decoded(saved(Image.new("1", (3, 3), 1), "png")).raster.is_grey


def _filtered(line: np.ndarray, above: np.ndarray, kind: int) -> bytes:
    """One row with PNG filter `kind`, for pixels of six bytes."""
    left = np.concatenate((np.zeros(6, np.uint8), line))[: line.size].astype(int)
    corner = np.concatenate((np.zeros(6, np.uint8), above))[: line.size].astype(int)
    up = above.astype(int)
    near = left + up - corner
    distances = np.abs(np.stack((near - left, near - up, near - corner)))
    paeth = np.choose(distances.argmin(axis=0), (left, up, corner))
    predicted = (np.zeros_like(left), left, up, (left + up) // 2, paeth)[kind]
    return bytes((kind,)) + (line - predicted).astype(np.uint8).tobytes()
