"""One launch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from prometheus_client import REGISTRY
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.errors import JobFailed
from pipeline.gpu.infer import infer
from schemas.failures import FailureCode
from tests.support.images import make_pixels, nearest
from tests.support.networks import NAME, constant, repeating, smoothing, tiny_model


@pytest.fixture(autouse=True)
def _inference_mode() -> Iterator[None]:
    with torch.inference_mode():
        yield


def fallbacks() -> float:
    return REGISTRY.get_sample_value("upscale_fp32_fallback_total", {"model": NAME}) or 0.0


@pytest.mark.parametrize("depth", [8, 16])
def test_infer_returns_every_level_unchanged_through_an_identity(depth: int) -> None:
    """Normalising and quantising are each other's inverse, for all values of both depths, in the tile's dtype."""
    largest = 2**depth - 1
    levels = np.linspace(0, largest, 48 * 48 * 3).round().astype(f"uint{depth}").reshape(48, 48, 3)

    result = infer(tiny_model(), [levels], "cpu")[0]

    assert result.dtype == levels.dtype
    assert np.array_equal(result, nearest(levels, 4))


def test_infer_mixes_depths_in_one_batch() -> None:
    """Each tile keeps its own dtype and its own range."""
    shallow, deep = make_pixels(8, 12), make_pixels(8, 12, depth=16)

    results = infer(tiny_model(), [shallow, deep, shallow], "cpu")

    assert [result.dtype for result in results] == [np.uint8, np.uint16, np.uint8]
    assert all(
        np.array_equal(result, nearest(tile, 4)) for result, tile in zip(results, [shallow, deep, shallow], strict=True)
    )


def test_infer_reads_a_dark_sixteen_bit_tile_as_sixteen_bit() -> None:
    """Depth is the dtype's word; upstream guesses it from the largest sample and would brighten this 257 times."""
    dark = make_pixels(8, 8).astype(np.uint16)

    assert np.array_equal(infer(tiny_model(), [dark], "cpu")[0], nearest(dark, 4))


def test_infer_does_not_depend_on_the_batch() -> None:
    """A tile becomes the same picture alone and beside others."""
    tiles = [make_pixels(9, 7, pattern=pattern) for pattern in ("noise", "gradient", "checker")]
    model = tiny_model(smoothing)

    together = infer(model, tiles, "cpu")

    for tile, beside_others in zip(tiles, together, strict=True):
        assert np.array_equal(infer(model, [tile], "cpu")[0], beside_others)


@pytest.mark.parametrize(("value", "expected"), [(-0.5, 0), (1.7, 255), (0.5, 128), (0.1, 26)])
def test_infer_clamps_and_rounds(value: float, expected: int) -> None:
    """What a network says outside 0..1 is cut off, and the rest goes to the nearest step, ties to even."""
    result = infer(tiny_model(constant(value)), [make_pixels(20, 5)], "cpu")[0]

    assert np.all(result == expected)


def test_infer_accepts_views_and_read_only_tiles() -> None:
    """Windows are views into a picture that may not be written to."""
    picture = make_pixels(20, 20)
    picture.setflags(write=False)
    window = picture[3:11, 5:13]

    assert np.array_equal(infer(tiny_model(), [window], "cpu")[0], nearest(window, 4))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_infer_computes_a_broken_tile_again_in_float32(broken: float) -> None:
    """A tile with a NaN or an infinity anywhere is recomputed, counted, and the others are left alone."""

    def low_precision(pixels: torch.Tensor) -> torch.Tensor:
        cells = repeating(pixels)
        cells[1, 2, 1, 3, 0, 2] = broken
        return cells

    tiles = [make_pixels(8, 8), make_pixels(8, 8, pattern="checker")]
    before = fallbacks()

    results = infer(tiny_model(low_precision, exact=repeating), tiles, "cpu")

    assert all(np.array_equal(result, nearest(tile, 4)) for result, tile in zip(results, tiles, strict=True))
    assert fallbacks() == before + 1


def test_infer_fails_rather_than_invent_a_tile() -> None:
    """When float32 gives no finite answer either, the job fails and no pixels are made up."""
    nan = constant(float("nan"))

    with pytest.raises(JobFailed) as caught:
        infer(tiny_model(nan, exact=nan), [make_pixels(8, 8)], "cpu")

    assert caught.value.code is FailureCode.DEVICE_FAILED


QUESTIONS = (torch.ops.aten.isfinite.default, torch.ops.aten.is_nonzero.default, torch.ops.aten.item.default)


def test_device_is_asked_once_for_all_tiles_whether_they_are_finite() -> None:
    """A GPU answers when it has computed all that it was given: each question leaves it without work."""
    asked: list[object] = []

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.extend([function] if function in QUESTIONS else [])
            return function(*args, **(kwargs or {}))

    with Noting():
        infer(tiny_model(), [make_pixels(8, 8)] * 4, "cpu")

    assert asked == [torch.ops.aten.isfinite.default]
