"""The photographs that the demo and the benchmark upscale."""

import itertools
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.tools.photographs import PHOTOGRAPHS, SUBJECTS, Subject, around, crops, scene, write_small


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


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.file)
@pytest.mark.parametrize("side", [64, 330, 2000])
def test_scene_is_the_photograph_around_what_one_looks_at(subject: Subject, side: int) -> None:
    """Nothing is resized; sides suit a network's factor, and the focus is where it is said to be."""
    with files("skimage").joinpath("data", subject.file).open("rb") as source, Image.open(source) as image:
        whole = np.asarray(image.convert("RGB"))
    found = scene(subject, side, multiple=4)
    height, width = found.pixels.shape[:2]

    assert (height % 4, width % 4) == (0, 0)
    assert max(height, width) <= side
    assert min(height, width) > min(side, *whole.shape[:2]) - 4
    assert (found.pixels[found.focus] == whole[subject.focus]).all()


@pytest.mark.parametrize(("point", "rows", "columns"), [((50, 50), (45, 55), (40, 60)), ((0, 99), (0, 10), (80, 100))])
def test_part_around_a_point_moves_inwards_at_a_border(
    point: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    """It has its full size everywhere."""
    assert around(point, (100, 100, 3), (10, 20)) == (slice(*rows), slice(*columns))
