"""Whatever a file's numbers mean, as sRGB."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.imaging.colour import MAX_PROFILE_BYTES, to_srgb
from pipeline.imaging.decode import decode
from pipeline.imaging.raster import Pixels
from pipeline.imaging.samples import Model, Samples
from tests.support.images import make_pixels
from tests.support.picture_files import ADOBE_GAMMA, ADOBE_RGB, LIMITS, matrix_profile, photo, saved

ADOBE = matrix_profile(ADOBE_RGB, ADOBE_GAMMA)
GREY_1_8 = matrix_profile((), 1.8, b"GRAY")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def reference(pixels: Pixels, profile: bytes, mode: str) -> Pixels:
    """What the colour engine makes of 8-bit `pixels`."""
    image = Image.fromarray(pixels.squeeze() if mode == "L" else pixels, mode)
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), 1, outputMode="RGB"))


@pytest.mark.parametrize(("model", "profile"), [("RGB", ADOBE), ("L", GREY_1_8)])
def test_eight_bit_colour_is_converted_by_its_profile(model: Model, profile: bytes) -> None:
    """RGB and grey come out as the colour engine says, grey as grey."""
    pixels = make_pixels(20, 30, 1 if model == "L" else 3)

    converted, warnings = to_srgb(Samples(model, pixels), profile)

    assert warnings == ()
    assert converted.shape == pixels.shape
    assert np.abs(converted.astype(int) - reference(pixels, profile, model)).max() <= 2


@pytest.mark.parametrize(("model", "profile"), [("RGB", ADOBE), ("L", GREY_1_8)])
def test_sixteen_bit_colour_is_converted_at_sixteen_bits(model: Model, profile: bytes) -> None:
    """Our own conversion agrees with the colour engine's to within a rounding step of eight bits, and is finer."""
    small = make_pixels(40, 60, 1 if model == "L" else 3)

    converted, warnings = to_srgb(Samples(model, small.astype(np.uint16) * 257), profile)

    assert warnings == ()
    assert converted.dtype == np.uint16
    assert np.abs(converted / 257 - reference(small, profile, model)[..., : small.shape[2]]).max() < 1.5
    assert (converted % 257 != 0).any()


def test_sixteen_bit_conversion_keeps_white_and_black() -> None:
    """White and black are the same in all working spaces."""
    ends = np.array([[[0, 0, 0], [65_535, 65_535, 65_535]]], dtype=np.uint16)

    converted, _ = to_srgb(Samples("RGB", ends), ADOBE)

    assert np.abs(converted.astype(int) - ends).max() <= 30


@pytest.mark.parametrize("depth", [8, 16])
def test_samples_already_in_srgb_are_not_touched(depth: int) -> None:
    """A profile that is sRGB's own costs neither time nor rounding."""
    pixels = make_pixels(9, 9, depth=depth)

    assert to_srgb(Samples("RGB", pixels), SRGB) == (pixels, ())


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        ADOBE[:150],
        GREY_1_8,
        ADOBE.replace(b"rXYZ", b"none"),
        SRGB + bytes(MAX_PROFILE_BYTES),
    ],
    ids=["garbage", "cut", "wrong space", "no colorant", "too large"],
)
def test_profiles_of_no_use_are_ignored_with_a_warning(depth: int, profile: bytes) -> None:
    """The picture stays as a viewer without colour management shows it, and the caller is told."""
    pixels = make_pixels(9, 9, depth=depth)

    assert to_srgb(Samples("RGB", pixels), profile) == (pixels, ("icc_ignored",))


def test_profiles_by_tables_are_ignored_at_sixteen_bits_only() -> None:
    """What only the colour engine can apply is not applied to what it cannot hold."""
    tables = ADOBE.replace(b"desc", b"A2B0", 1)

    assert to_srgb(Samples("RGB", make_pixels(2, 2, depth=16)), tables)[1] == ("icc_ignored",)


def test_ink_without_a_profile_is_converted_simply() -> None:
    """CMYK without a profile is what Pillow makes of it."""
    ink = photo().convert("CMYK")

    converted, _ = to_srgb(Samples("CMYK", np.asarray(ink)), None)

    assert np.array_equal(converted, np.asarray(ink.convert("RGB")))


def test_lab_is_converted_to_the_colours_it_means() -> None:
    """Lab (D50) of pure sRGB red, white and mid grey comes back as those."""
    source = Image.new("RGB", (3, 1))
    source.putdata([(255, 0, 0), (255, 255, 255), (119, 119, 119)])
    lab_profile = ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(source, ImageCms.createProfile("sRGB"), lab_profile, 1, outputMode="LAB")

    converted, _ = to_srgb(Samples("LAB", np.asarray(lab)), None)

    assert np.abs(converted.astype(int) - np.asarray(source)).max() <= 5


def test_profiles_are_found_in_every_format_that_carries_them() -> None:
    """JPEG, PNG, WebP and TIFF: the profile is applied, wherever the format keeps it."""
    image = Image.new("RGB", (16, 16), (60, 200, 90))
    expected, _ = to_srgb(Samples("RGB", np.asarray(image)), ADOBE)
    for kind in ("jpeg", "png", "webp", "tiff"):
        options = {"lossless": True} if kind == "webp" else {"quality": 100} if kind == "jpeg" else {}

        converted = decode(saved(image, kind, icc_profile=ADOBE, **options), LIMITS, keep_exif=False).raster.pixels

        assert np.abs(converted.astype(int) - expected).max() <= 2, kind
