"""Guarantees of pipeline.gpu.face: where faces are. Parity with facexlib is in tests/parity/test_faces.py."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from pipeline.errors import JobFailed
from pipeline.gpu import face
from pipeline.gpu.face import find_faces
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel, load
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.networks.upscalers import Network
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels
from schemas.failures import FailureCode
from tests.support.networks import cpu_profile

PIXELS = np.zeros((20, 30, 3), np.uint8)
LANDMARKS = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
CARRIED = "retinaface-mobile0.25"


def guessing(*rows: list[float]) -> LoadedModel:
    """A detector that guesses these whatever it sees."""
    return LoadedModel(catalog.find(CARRIED), "0" * 64, lambda _: torch.tensor(rows), lambda: _unused)


def _unused(pixels: torch.Tensor) -> torch.Tensor:
    raise AssertionError("nothing is computed twice")


def guess(left: float, score: float, *, side: float = 10.0) -> list[float]:
    return [left, 0.0, left + side, side, score, *LANDMARKS]


def lefts(*rows: list[float]) -> list[float]:
    return [found.box[0] for found in find_faces(guessing(*rows), PIXELS, "cpu")]


def test_what_the_network_is_sure_of_is_a_face_surest_first() -> None:
    """Above upstream's limit, with its box, its score and its five landmarks."""
    assert lefts(guess(0, 0.98), guess(100, 0.97), guess(200, 0.99)) == [200, 0]
    (found,) = find_faces(guessing(guess(3, 0.99)), PIXELS, "cpu")
    assert found.box == (3, 0, 13, 10)
    assert found.score == pytest.approx(0.99)
    assert found.landmarks == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))


def test_one_face_is_told_once() -> None:
    """Of boxes that overlap by more than two fifths of what they cover together, the surest stays."""
    assert lefts(guess(0, 0.98), guess(4, 0.99), guess(9, 0.975)) == [4, 9]


def test_numbers_that_are_none_are_no_face() -> None:
    """A box may be infinite: its size is an exponential of what the network says."""
    assert (
        lefts([0.0, 0.0, math.inf, 5.0, 0.99, *LANDMARKS], [0.0, 0.0, 5.0, 5.0, 0.99, math.nan, *LANDMARKS[1:]]) == []
    )


def test_no_guess_is_no_error() -> None:
    """Most pictures have no face."""
    assert lefts(guess(0, 0.5)) == []


def test_guesses_that_are_compared_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing takes the square of their number; the surest are kept."""
    monkeypatch.setattr(face, "MOST_GUESSES", 2)
    assert lefts(guess(0, 0.98), guess(100, 0.99), guess(200, 0.985)) == [100, 200]


async def test_lane_fails_the_job_and_not_the_device_when_a_picture_is_too_large_for_it() -> None:
    """The device computes on; only this picture is too much for it."""

    def full(pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    async with DeviceLane(cpu_profile(), lambda _: _detector(full)) as lane:
        with pytest.raises(JobFailed) as caught:
            await lane.find_faces(CARRIED, PIXELS)
        assert not lane.closed
    assert caught.value.code is FailureCode.DEVICE_OUT_OF_MEMORY


def _detector(network: Network) -> LoadedModel:
    return LoadedModel(catalog.find(CARRIED), "0" * 64, network, lambda: network)


@cache
def carried() -> LoadedModel:
    return load(CARRIED, cpu_profile(), weights.default_folder() / "absent")


def found_in(pixels: Pixels) -> tuple[Face, ...]:
    with torch.inference_mode():
        return find_faces(carried(), pixels, "cpu")


ASTRONAUT = ((205, 101), (247, 103), (224, 129), (202, 139), (245, 142))
"""Her eyes, nose and mouth, as another network than ours, MTCNN of facenet-pytorch, finds them."""


@pytest.mark.weights
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_face_of_a_photograph_is_found_by_what_comes_with_the_install(scale: float) -> None:
    """One face, at every size, with its landmarks within a fifteenth of its width."""
    picture = Image.fromarray(data.astronaut())
    resized = picture.resize((int(picture.width * scale), int(picture.height * scale)), Image.Resampling.LANCZOS)
    (found,) = found_in(np.asarray(resized))
    np.testing.assert_allclose(np.array(found.landmarks) / scale, ASTRONAUT, atol=6)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_photograph_without_a_face_has_none(name: str) -> None:
    """A cat, a cup and a rocket."""
    assert found_in(getattr(data, name)()) == ()
