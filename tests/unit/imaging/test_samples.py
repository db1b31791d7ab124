"""What a decoder gives."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from pipeline.errors import JobFailed
from pipeline.imaging.halves import byte_pairs
from pipeline.imaging.samples import samples_of
from schemas.failures import FailureCode
from tests.support.picture_files import photo, saved


@pytest.mark.parametrize("mode", ["I", "F", "HSV"])
def test_samples_of_refuses_numbers_without_a_meaning(mode: str) -> None:
    """Modes that are no colour of a file are refused by name of what is allowed."""
    with pytest.raises(JobFailed) as failed:
        samples_of(Image.new(mode, (2, 2)))

    assert failed.value.code is FailureCode.IMAGE_FORMAT_UNSUPPORTED


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_samples_of_undoes_premultiplication(mode: str) -> None:
    """Colour comes out as it was before it was weighted by alpha."""
    image = photo().convert("RGBA")
    image.putalpha(128)
    plain = image.convert("LA") if mode == "La" else image

    samples = samples_of(plain.convert(mode))

    assert np.abs(samples.colour.astype(int) - np.asarray(plain)[..., :-1]).max() <= 2
    assert (samples.alpha == 128).all()


def test_samples_of_covers_pictures_of_many_strips() -> None:
    """Every row is taken, also of the last, shorter strip."""
    image = photo(150, 20)

    assert np.array_equal(samples_of(image).colour, np.asarray(image))


def test_byte_pairs_refuses_eight_bit_files() -> None:
    """A file of 8 bits has no halves; taking some would show nonsense."""
    data = saved(photo(), "png")

    with pytest.raises(ValueError, match="must be of 16 bits"):
        byte_pairs(lambda: PngImageFile(io.BytesIO(data)))
