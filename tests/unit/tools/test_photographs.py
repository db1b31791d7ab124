"""The photographs that the demo and the benchmark upscale."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.tools.photographs import PHOTOGRAPHS, crops, write_small


def test_photographs_are_written_small_and_in_proportion(tmp_path: Path) -> None:
    """A JPEG file each, as wide as it says, so that the demo takes seconds."""
    written = write_small(tmp_path)
    assert [path.suffix for path in written] == [".jpg"] * len(PHOTOGRAPHS)
    for path, photograph in zip(written, PHOTOGRAPHS, strict=True):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.width) == ("JPEG", "RGB", photograph.width)
            assert 0.5 < image.width / image.height < 2
            assert np.asarray(image).std() > 10


def test_crops_are_all_different_squares_of_the_side_asked_for() -> None:
    """Equal pictures would be stored once, and a benchmark would measure less than it says."""
    found = crops(9, 600)
    assert all(crop.shape == (600, 600, 3) and crop.dtype == np.uint8 for crop in found)
    assert all(crop.flags.c_contiguous for crop in found)
    assert not any(np.array_equal(one, other) for one, other in itertools.combinations(found, 2))
