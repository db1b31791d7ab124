"""What is done to a photograph before a network gets it."""

import numpy as np

from pipeline.tools.degrade import compressed, degraded
from tests.support.photographs import photograph


def test_degraded_picture_is_a_quarter_and_otherwise_in_place() -> None:
    """Flat stays flat, and a bright quadrant stays where it is: the original lines up with what comes back."""
    picture = np.full((64, 96, 3), 40, np.uint8)
    picture[:32, :48] = 200
    found = degraded(picture)

    assert found.shape == (16, 24, 3)
    assert np.abs(found[:6, :10].astype(int) - 200).max() <= 8
    assert np.abs(found[-6:, -10:].astype(int) - 40).max() <= 8


def test_degraded_photograph_has_lost_detail() -> None:
    """Stripes of one pixel become even grey: nothing aliases."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255

    assert np.abs(degraded(stripes).astype(int)[:, 2:-2] - 127).max() <= 4


def test_compression_changes_samples_but_not_the_picture() -> None:
    """As a camera's file does."""
    picture = photograph("coffee", 64, 64)
    error = np.abs(compressed(picture).astype(int) - picture)

    assert error.max() > 3
    assert error.mean() < 8
