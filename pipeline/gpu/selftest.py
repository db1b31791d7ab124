"""Known questions with known answers: does this device still compute, and what it should?"""

import numpy as np
import numpy.typing as npt
import structlog
import torch

from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel

SIDE = 32
TOLERANCE = 8
"""Steps of 255 that a sample may be off: bf16 differs from float32 by at most 1 here; a broken device by dozens."""

EXPECTED: dict[str, tuple[int, ...]] = {
    "realesrgan-x4plus": (5, 5, 7, 22, 78, 51, 64, 34, 39, 100, 6, 38),
    "realesrgan-x4plus-anime-6b": (1, 1, 2, 0, 91, 43, 38, 40, 47, 98, 0, 29),
    "realesr-animevideov3": (17, 14, 12, 29, 109, 59, 57, 55, 55, 96, 15, 39),
}
"""Samples of the float32 answer, by model."""


log = structlog.get_logger()


def knows(name: str) -> bool:
    """Whether a model, by the catalog's own name, has a known answer: those do whose weights come with the install."""
    return name in EXPECTED


class WrongAnswer(Exception):
    """The device computes, but not the right thing."""


def computes(device: str) -> bool:
    """Whether the device ends what it was given, and then adds up small numbers by a convolution without error.

    It needs no model, so that it says nothing about one; after a CUDA fault no call of the process succeeds.
    """
    try:
        if device == "cuda":
            torch.cuda.synchronize()
        ones = torch.ones((1, 3, 8, 8), device=device)
        sums = torch.nn.functional.conv2d(ones, torch.ones((1, 3, 3, 3), device=device))
        return bool((sums == 27).all())
    except Exception:
        log.exception("device_does_not_answer", device=device)
        return False


def known_tile() -> npt.NDArray[np.uint8]:
    """A colour ramp under a checkerboard, (32, 32, 3) uint8: edges and flat parts, the same on every machine."""
    rows, columns = np.indices((SIDE, SIDE))
    checker = (rows // 8 + columns // 8) % 2 * 64
    ramp = np.stack([rows * 5, columns * 5, (rows + columns) * 2], axis=-1)
    tile: npt.NDArray[np.uint8] = (ramp + checker[..., None]).astype(np.uint8)
    return tile


def samples(picture: npt.NDArray[np.generic]) -> tuple[int, ...]:
    """Twelve samples spread over the picture, away from its edges."""
    height, width = picture.shape[:2]
    points = [(1, 1), (1, 3), (2, 2), (3, 1)]
    return tuple(
        int(value) for row, column in points for value in picture[height * row // 4 - 9, width * column // 4 - 9]
    )


def check(model: LoadedModel, device: str) -> None:
    """Upscale the known tile with a model that `knows` names.

    Raises `WrongAnswer` when a sample is off by more than `TOLERANCE`.
    """
    expected = EXPECTED[model.spec.name]
    found = samples(infer(model, [known_tile()], device)[0])
    worst = max(abs(one - other) for one, other in zip(expected, found, strict=True))
    if worst > TOLERANCE:
        raise WrongAnswer(f"{model.spec.name}: samples must be {expected} within {TOLERANCE}, got {found}")
