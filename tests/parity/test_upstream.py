"""Untiled float32 against upstream's own program, to one step; and where we differ from it on purpose."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models.specs import Precision
from pipeline.gpu.reference import enhance
from pipeline.imaging.planes import Planes, join, split
from pipeline.imaging.raster import Pixels, Raster
from tests.support.errors_between import assert_within
from tests.support.images import make_pixels
from tests.support.photographs import photograph

pytestmark = [pytest.mark.parity, pytest.mark.weights]

Models = Callable[[str, Precision], LoadedModel]
Upstream = Callable[[str], Any]

FAST = "realesr-animevideov3"
ALL = (FAST, "realesrgan-x4plus-anime-6b", "realesrgan-x4plus")


def enlarged(model: LoadedModel, raster: Raster) -> Raster:
    """Every plane of a raster through one launch, whole."""
    planes = split(raster)
    results = infer(model, planes.all, "cpu")
    return join(raster, Planes(results[0], results[1] if planes.alpha is not None else None))


def deep(picture: Pixels) -> Pixels:
    """The same picture in 16 bits, over their whole range."""
    return (picture.astype(np.uint32) * 257).astype(np.uint16)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [(1, 1), (17, 23), (24, 9)])
def test_colour_is_upstreams(name: str, size: tuple[int, int], ours: Models, upstream: Upstream) -> None:
    """Every model, odd sizes and a single pixel."""
    picture = photograph("astronaut", *size)

    assert_within(infer(ours(name, "fp32"), [picture], "cpu")[0], enhance(upstream(name), picture), steps=1)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_photographs_are_upstreams(name: str, ours: Models, upstream: Upstream) -> None:
    """Larger crops of real pictures."""
    picture = photograph(name, 90, 121)

    assert_within(infer(ours(FAST, "fp32"), [picture], "cpu")[0], enhance(upstream(FAST), picture), steps=1)


def test_grey_is_upstreams(ours: Models, upstream: Upstream) -> None:
    """One channel in, one channel out, through the network as three."""
    grey = photograph("coffee", 33, 41)[..., :1]

    result = enlarged(ours(FAST, "fp32"), Raster(np.ascontiguousarray(grey)))

    assert_within(result.pixels[..., 0], enhance(upstream(FAST), grey[..., 0]), steps=1)


def test_alpha_is_upstreams(ours: Models, upstream: Upstream) -> None:
    """Transparency goes through the network too, as a picture of its own; colour under it is not multiplied."""
    picture = photograph("rocket", 30, 37)
    alpha = make_pixels(30, 37, 1, pattern="gradient")[..., 0]

    result = enlarged(ours(FAST, "fp32"), Raster(picture, alpha))

    assert result.alpha is not None
    theirs = enhance(upstream(FAST), np.dstack([picture, alpha]))
    assert_within(np.dstack([result.pixels, result.alpha]), theirs, steps=1)


@pytest.mark.parametrize("name", ALL)
def test_sixteen_bit_is_upstreams(name: str, ours: Models, upstream: Upstream) -> None:
    """All 16 bits are kept: equal to one step of 8 bits, which is 257 of these, and nearly always much closer."""
    picture = deep(photograph("chelsea", 20, 21))

    result = infer(ours(name, "fp32"), [picture], "cpu")[0]

    assert_within(result, enhance(upstream(name), picture), steps=16)


def test_dark_sixteen_bit_is_not_upstreams(ours: Models, upstream: Upstream) -> None:
    """A picture of 16 bits whose samples stay under 257 is read as 8 bits by upstream, and made 257 times brighter.

    We go by the dtype and keep it as dark as it is, at 16 bits.
    """
    picture = photograph("chelsea", 20, 21).astype(np.uint16)

    result = infer(ours(FAST, "fp32"), [picture], "cpu")[0]

    assert enhance(upstream(FAST), picture).dtype == np.uint8
    assert result.dtype == np.uint16
    assert result.max() < 2 * 257


def test_a_failing_tile_is_not_upstreams(ours: Models) -> None:
    """Upstream prints the error of a tile and goes on with the tile before it; here it reaches the caller."""
    model = ours(FAST, "fp32")

    def failing(pixels: Tensor) -> Tensor:
        raise RuntimeError("device error")

    broken = LoadedModel(model.spec, model.weights_sha256, failing, model.exact)

    with pytest.raises(RuntimeError, match="device error"):
        infer(broken, [photograph("rocket", 8, 8)], "cpu")
