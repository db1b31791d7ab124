"""How near two pictures are, and how sharp one is."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pipeline.imaging.likeness import LUMA, blur, luma, psnr, sharpness, ssim
from tests.support.images import make_pixels
from tests.support.photographs import photograph

PICTURE = photograph("astronaut", 61, 83)
NOISY = np.clip(PICTURE.astype(np.int16) + make_pixels(61, 83) // 8 - 16, 0, 255).astype(np.uint8)


def test_psnr_is_the_textbooks() -> None:
    """An error of one step everywhere is 48.13 dB; no error is infinite."""
    picture = np.full((4, 4, 3), 7, np.uint8)

    assert psnr(picture, picture) == float("inf")
    assert psnr(picture, picture + 1) == pytest.approx(48.1308, abs=1e-4)


@pytest.mark.parametrize("other", [NOISY, np.roll(PICTURE, 1, axis=0), 255 - PICTURE, PICTURE])
def test_ssim_is_scikit_images(other: np.ndarray) -> None:
    """Another implementation of the paper, with the paper's own window."""
    theirs = structural_similarity(
        luma(PICTURE), luma(other), data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )

    assert ssim(PICTURE, other) == pytest.approx(theirs, abs=1e-9)


def test_ssim_of_equal_pictures_is_one_and_noise_takes_from_it() -> None:
    """The scale by which the figures are read."""
    assert ssim(PICTURE, PICTURE) == pytest.approx(1)
    assert 0.3 < ssim(PICTURE, NOISY) < 0.95


def test_ssim_says_when_a_picture_is_too_small() -> None:
    """Rather than the mean of nothing."""
    with pytest.raises(ValueError, match=r"at least 11, got \(10, 40\)"):
        ssim(PICTURE[:10, :40], PICTURE[:10, :40])


def test_luma_weighs_colours_as_television_does() -> None:
    """White is 255, and green is brighter than red and blue."""
    assert sum(LUMA) == pytest.approx(1)
    assert luma(np.full((1, 1, 3), 255, np.uint8))[0, 0] == pytest.approx(255)
    assert luma(np.array([[[0, 255, 0]]], np.uint8))[0, 0] == pytest.approx(0.587 * 255)


def test_blur_keeps_the_sum_and_is_the_bell() -> None:
    """One bright point becomes the bell of Gauss; what lies outside is not guessed at."""
    point = np.zeros((21, 21))
    point[10, 10] = 1
    found = blur(point, sigma=1.2, radius=5)

    assert found.shape == (11, 11)
    assert found.sum() == pytest.approx(1)
    assert found[5, 6] / found[5, 5] == pytest.approx(np.exp(-0.5 / 1.2**2))
    assert np.allclose(found, found.T)


def test_sharpness_is_the_laplacians_variance() -> None:
    """A point of 255 on black, by hand; a ramp has none at all."""
    point = np.zeros((5, 5, 3), np.uint8)
    point[2, 2] = 255
    answers = np.array([0, 255, 0, 255, -4 * 255, 255, 0, 255, 0])
    ramp = np.repeat(np.arange(0, 50, 5, dtype=np.uint8)[:, None, None] * np.ones((1, 10, 3), np.uint8), 1, axis=1)

    assert sharpness(point) == pytest.approx(answers.var())
    assert sharpness(ramp) == pytest.approx(0, abs=1e-18)
    assert sharpness(NOISY) > sharpness(PICTURE)
