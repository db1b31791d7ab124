"""Convolutions with shared weights, beside upstream's with weights for each face."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.gpu.networks.modulated import SharedConv
from pipeline.gpu.networks.upstream import ModulatedConv2d

STYLE = 8


def upstream_conv(**options: Any) -> Any:
    return ModulatedConv2d(6, 10, 3, STYLE, **options).eval().requires_grad_(requires_grad=False)


def faces(number: int) -> tuple[Tensor, Tensor]:
    """Maps and styles, each its own."""
    chance = torch.Generator().manual_seed(7)
    return torch.randn(number, 6, 12, 12, generator=chance), torch.randn(number, STYLE, generator=chance)


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("sample_mode", [None, "upsample"])
def test_faces_with_styles_of_their_own_are_upstreams(demodulate: bool, sample_mode: str | None) -> None:
    theirs = upstream_conv(demodulate=demodulate, sample_mode=sample_mode)
    maps, styles = faces(4)

    torch.testing.assert_close(SharedConv(theirs)(maps, styles), theirs(maps, styles), rtol=1e-4, atol=1e-5)


def test_large_styles_do_not_overflow_16_bits() -> None:
    """What goes into the convolution is never larger than the map: 60,000 times 100 is beyond fp16."""
    theirs = upstream_conv()
    maps, styles = faces(1)
    shared = SharedConv(theirs).half()
    shared.modulation.float()
    loud = maps / maps.abs().amax() * 60_000

    result = shared(loud.half(), 100 * styles)

    torch.testing.assert_close(result.float(), theirs(loud, 100 * styles), rtol=0.02, atol=400.0)


def test_a_style_of_nothing_gives_nothing() -> None:
    theirs = upstream_conv()
    theirs.modulation.bias.zero_()
    maps, styles = faces(2)

    assert not SharedConv(theirs)(maps, 0 * styles).any()
