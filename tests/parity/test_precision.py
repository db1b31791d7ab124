"""What our fast form may cost: decibels in bf16, nothing by batching, little by tiling."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models.specs import Precision
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import cut, plan
from tests.support.errors_between import assert_within, psnr
from tests.support.photographs import photograph

pytestmark = [pytest.mark.parity, pytest.mark.weights]

Models = Callable[[str, Precision], LoadedModel]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.mark.parametrize("picture", PHOTOGRAPHS)
@pytest.mark.parametrize(
    ("name", "least", "side"),
    [("realesr-animevideov3", 57.0, 96), ("realesrgan-x4plus-anime-6b", 51.0, 48), ("realesrgan-x4plus", 52.0, 32)],
)
def test_bf16_stays_near_float32(name: str, least: float, side: int, picture: str, ours: Models) -> None:
    """On every photograph; 52 dB is an error of a quarter of a percent of the range, root mean square."""
    tile = photograph(picture, side, side)

    low, exact = (infer(ours(name, precision), [tile], "cpu")[0] for precision in ("bf16", "fp32"))

    assert psnr(low, exact) >= least


@pytest.mark.parametrize("name", ["realesr-animevideov3", "realesrgan-x4plus-anime-6b"])
@pytest.mark.parametrize(("precision", "steps"), [("fp32", 1), ("bf16", 2)])
def test_batching_changes_nothing(name: str, precision: Precision, steps: int, ours: Models) -> None:
    """A tile of one picture beside those of others: a step at most where a library sums in another order."""
    model = ours(name, precision)
    tiles = [photograph(picture, 32, 32) for picture in PHOTOGRAPHS]

    together = infer(model, tiles, "cpu")

    for tile, beside_others in zip(tiles, together, strict=True):
        assert_within(beside_others, infer(model, [tile], "cpu")[0], steps)


@pytest.mark.parametrize(
    ("name", "least"), [("realesr-animevideov3", float("inf")), ("realesrgan-x4plus-anime-6b", 55.0)]
)
def test_tiling_changes_little(name: str, least: float, ours: Models) -> None:
    """Windows with the model's own context against the whole picture: exact where the context is the network's reach,
    up to a step of float32 rounding, and above `least` decibels elsewhere.
    """
    model = ours(name, "fp32")
    picture = photograph("astronaut", 112, 121)
    layout = plan(112, 121, pad=model.spec.pad, sides=(96,))
    tiled = stitch(layout, [infer(model, [tile], "cpu")[0] for tile in cut(picture, layout)], model.spec.scale)
    whole = infer(model, [picture], "cpu")[0]

    assert len(layout.windows) == 4
    if np.isinf(least):
        assert_within(tiled, whole, steps=1)
    else:
        assert psnr(tiled, whole) >= least
