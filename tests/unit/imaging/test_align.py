"""Guarantees of pipeline.imaging.align; parity with facexlib is in tests/parity/test_faces.py."""

from typing import Any, cast

import numpy as np
import pytest

from pipeline.imaging.align import SIDE, aligning, crop, inverted, reached
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Raster
from tests.support.faces import make_face
from tests.support.images import make_pixels


def test_face_that_lies_as_the_networks_want_it_is_its_own_crop() -> None:
    """Nothing is turned, moved or smoothed."""
    pixels = make_pixels(SIDE, SIDE, 3, pattern="noise")
    affine = aligning(make_face())
    assert affine is not None
    assert np.allclose(affine, [[1, 0, 0], [0, 1, 0]], atol=0.01)
    np.testing.assert_array_equal(pixels, crop(Raster(pixels), np.eye(2, 3)))


@pytest.mark.parametrize(
    ("channels", "dtype", "expected"),
    [
        (3, np.uint8, [132, 133, 135]),
        (3, np.uint16, [33924, 34181, 34695]),
        (1, np.uint8, [133]),
        (1, np.uint16, [34163]),
    ],
)
def test_beside_the_picture_is_upstreams_grey(channels: int, dtype: Any, expected: list[int]) -> None:
    """At the picture's own depth; a grey picture has the luma of it, three times."""
    affine = aligning(make_face(100, 100, 256))
    assert affine is not None
    face = crop(Raster(np.zeros((200, 200, channels), dtype)), affine)
    assert face.shape == (SIDE, SIDE, 3)
    assert face.dtype == dtype
    np.testing.assert_allclose(face[-1, -1], (expected * 3)[:3], atol=1)
    np.testing.assert_array_equal(face[0, 0], [0, 0, 0])


def test_crop_of_a_face_far_outside_is_empty_and_no_error() -> None:
    """A network may see a face where there is no picture."""
    affine = aligning(make_face(-5000, 9000, 256))
    assert affine is not None
    face = crop(Raster(np.zeros((20, 20, 3), np.uint8)), affine)
    np.testing.assert_array_equal(face[0, 0], face[-1, -1])
    assert reached(inverted(affine), 20, 20)[2:] == (0, 20)


@pytest.mark.parametrize("landmarks", [[(5.0, 5.0)] * 5, [(float(x), 7.0) for x in (1e30, -1e30, 0, 1, 2)]])
def test_landmarks_that_are_no_face_give_none(landmarks: list[tuple[float, float]]) -> None:
    """Nothing is divided by zero later on."""
    affine = aligning(Face((0, 0, 1, 1), 1.0, cast("Any", tuple(landmarks))))
    assert affine is None or np.isfinite(inverted(affine)).all()


def test_crop_reaches_what_its_corners_cover_and_a_little_around() -> None:
    """As far as interpolation may read, and no further than the picture."""
    assert reached(np.array(((1.0, 0, 10), (0, 1.0, 20))), 1000, 1000) == (8, 18, 524, 534)
    assert reached(np.array(((1.0, 0, -10), (0, 1.0, 20))), 100, 100) == (0, 18, 100, 100)
