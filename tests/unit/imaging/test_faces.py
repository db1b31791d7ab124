"""Guarantees of pipeline.imaging.faces: which faces are restored, and what they are looked for in."""

import math

import numpy as np
import pytest

from pipeline.imaging.faces import LARGEST_VIEW, MOST_FACES, Face, choose, view
from pipeline.imaging.raster import Raster
from schemas.options import FaceOptions
from tests.support.faces import make_face
from tests.support.images import make_pixels

NEAR, FAR = make_face(40, 40, 24), make_face(0, 0, 30)


def chosen(*faces: Face, **options: object) -> tuple[Face, ...]:
    return choose(faces, 100, 100, FaceOptions.model_validate(options))


def test_all_faces_are_chosen_in_the_order_they_were_found() -> None:
    """The last that is found is pasted over those before it, as upstream does it."""
    assert chosen(NEAR, FAR, NEAR) == (NEAR, FAR, NEAR)
    assert chosen() == ()


@pytest.mark.parametrize(("least", "expected"), [(5.9, True), (5.91, False)])
def test_face_whose_eyes_are_too_near_is_left_alone(least: float, *, expected: bool) -> None:
    """Those of this face are 5.903 pixels apart; at the limit a face is restored, as upstream does it."""
    assert (chosen(NEAR, min_eye_distance=least) == (NEAR,)) is expected


def test_only_the_face_nearest_to_the_middle_is_chosen() -> None:
    """By the middles of the boxes; a face that is left alone for its eyes is not the nearest."""
    assert chosen(FAR, NEAR, only_center=True, min_eye_distance=0) == (NEAR,)
    assert chosen(FAR, NEAR, only_center=True, min_eye_distance=7) == (FAR,)
    assert chosen(only_center=True) == ()


def test_large_face_is_left_alone_and_no_other_is_taken_for_it() -> None:
    """By the longer side of its box; another face than the one in the middle was not asked for."""
    assert chosen(NEAR, FAR, max_size=24, min_eye_distance=0) == (NEAR,)
    assert chosen(NEAR, FAR, max_size=30, min_eye_distance=0) == (NEAR, FAR)
    assert chosen(NEAR, FAR, max_size=23, only_center=True, min_eye_distance=0) == ()


def test_crowd_is_cut_to_its_largest_faces_in_the_order_they_were_found() -> None:
    """A picture of nothing but faces cannot hold the device for ever."""
    crowd = [make_face(side=100 + 37 * index % 101) for index in range(MOST_FACES + 20)]
    kept = chosen(*crowd)
    assert len(kept) == MOST_FACES
    assert min(face.longer_side for face in kept) == sorted(face.longer_side for face in crowd)[20]
    assert list(kept) == [face for face in crowd if face in kept]


def test_face_in_a_larger_picture_is_larger_in_every_number() -> None:
    """Box and landmarks, and not the score."""
    doubled = make_face(4, 8, 32, 0.98).scaled(2)
    assert doubled.box == (8, 16, 72, 80)
    assert doubled.score == 0.98
    assert np.allclose(doubled.landmarks, make_face(8, 16, 64).landmarks)


def test_view_of_a_picture_is_the_picture() -> None:
    """Up to the largest view nothing is reduced, so that what is found is what upstream finds."""
    pixels = make_pixels(30, 40, 3)
    shown = view(Raster(pixels))
    assert shown.reduction == 1
    np.testing.assert_array_equal(pixels, shown.pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_view_of_sixteen_bits_or_grey_is_eight_bits_of_colour(channels: int) -> None:
    """The nearest of the 256 levels."""
    pixels = make_pixels(30, 40, channels)
    deep = (pixels.astype(np.uint16) * 257 + np.where(pixels < 255, 100, 0)).astype(np.uint16)
    np.testing.assert_array_equal(pixels.repeat(3 // channels, axis=2), view(Raster(deep)).pixels)


@pytest.mark.parametrize("size", [(3000, 2000), (20_000, 700), (1, 5_000_000)])
def test_view_of_a_large_picture_is_bounded_and_says_by_how_much(size: tuple[int, int]) -> None:
    """Whatever its proportions."""
    raster = Raster(np.zeros((*size, 1), np.uint8))
    shown = view(raster)
    height, width = shown.pixels.shape[:2]
    assert height * width <= LARGEST_VIEW * 1.01 + height + width
    assert shown.reduction == pytest.approx(math.sqrt(size[0] * size[1] / LARGEST_VIEW))
    assert height * shown.reduction == pytest.approx(size[0], abs=shown.reduction)
