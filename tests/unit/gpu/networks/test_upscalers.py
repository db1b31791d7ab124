"""Our forms of upstream's networks, on small networks with drawn parameters."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pipeline.gpu.models import catalog
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import ModelSpec, RRDBShape, SRVGGShape
from pipeline.gpu.networks.upscalers import fast_network, least_multiple, upstream_network
from pipeline.gpu.networks.upstream import RRDBNet, SRVGGNetCompact

RRDB = replace(catalog.find("x4plus"), architecture=RRDBShape(blocks=2))
X2 = replace(RRDB, scale=2, multiple=2)
X1 = replace(RRDB, scale=1, multiple=4)
SRVGG = replace(catalog.find("animevideov3"), architecture=SRVGGShape(convs=3))


def drawn(spec: ModelSpec) -> Mapping[str, Tensor]:
    """Parameters as upstream initialises them."""
    torch.manual_seed(5)
    shape = spec.architecture
    module = (
        RRDBNet(3, 3, spec.scale, num_block=shape.blocks)
        if isinstance(shape, RRDBShape)
        else SRVGGNetCompact(num_conv=shape.convs)
    )
    return dict(module.state_dict())


def picture(cells: Tensor) -> Tensor:
    """(n, h, s, w, s, 3) -> (n, 3, s * h, s * w)."""
    n, height, side, width = cells.shape[:4]
    return cells.reshape(n, height * side, width * side, 3).permute(0, 3, 1, 2)


@pytest.mark.parametrize("spec", [RRDB, SRVGG], ids=["rrdb", "srvgg"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 12)])
@torch.inference_mode()
def test_float32_form_gives_upstreams_numbers(spec: ModelSpec, size: tuple[int, int]) -> None:
    """Same layers in another order and layout: equal within float32's rounding, for any size and batch."""
    tensors = drawn(spec)
    pixels = torch.rand(2, 3, *size)

    ours = picture(fast_network(spec, tensors, "cpu", "fp32")(pixels))
    theirs = upstream_network(spec, tensors)(pixels)

    assert ours.shape == (2, 3, 4 * size[0], 4 * size[1])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", [X2, X1], ids=["x2", "x1"])
@pytest.mark.parametrize("size", [(4, 4), (12, 8)])
@torch.inference_mode()
def test_folding_form_gives_upstreams_numbers(spec: ModelSpec, size: tuple[int, int]) -> None:
    """The networks that fold pixels into channels first, at sides that are whole blocks."""
    tensors = drawn(spec)
    pixels = torch.rand(2, 3, *size)

    ours = picture(fast_network(spec, tensors, "cpu", "fp32")(pixels))

    assert ours.shape == (2, 3, spec.scale * size[0], spec.scale * size[1])
    torch.testing.assert_close(ours, upstream_network(spec, tensors)(pixels), rtol=1e-4, atol=1e-5)


def test_every_model_says_of_what_its_windows_sides_are_multiples() -> None:
    """A window that cannot be folded would stop the device; the entry of a folding network must say so."""
    assert [least_multiple(spec) for spec in (RRDB, X2, X1, SRVGG)] == [1, 2, 4, 1]
    for spec in catalog.MODELS:
        assert spec.multiple % least_multiple(spec) == 0


@pytest.mark.parametrize("spec", [RRDB, SRVGG, X2], ids=["rrdb", "srvgg", "x2"])
@torch.inference_mode()
def test_sixteen_bit_form_stays_near_and_answers_in_float32(spec: ModelSpec) -> None:
    """Rounding inside the convolutions only: the answer is float32 and within a percent of the range."""
    tensors = drawn(spec)
    pixels = torch.rand(1, 3, 16, 16)

    low = fast_network(spec, tensors, "cpu", "bf16")(pixels)
    exact = fast_network(spec, tensors, "cpu", "fp32")(pixels)

    assert low.dtype == torch.float32
    assert not torch.equal(low, exact)
    torch.testing.assert_close(low, exact, rtol=0, atol=0.01)


@pytest.mark.parametrize("spec", [RRDB, SRVGG], ids=["rrdb", "srvgg"])
def test_building_a_network_leaves_the_parameters_alone(spec: ModelSpec) -> None:
    """The same parameters serve the fast and the exact form, built at different times."""
    tensors = drawn(spec)
    before = {name: tensor.clone() for name, tensor in tensors.items()}

    fast_network(spec, tensors, "cpu", "bf16")
    fast_network(spec, tensors, "cpu", "fp32")

    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())


@pytest.mark.parametrize("spec", [RRDB, SRVGG], ids=["rrdb", "srvgg"])
def test_parameters_of_another_network_are_refused(spec: ModelSpec) -> None:
    """A missing, surplus or misshapen parameter is an error, never a network with random parts."""
    complete = drawn(spec)
    first = next(iter(complete))

    for wrong in (
        {name: tensor for name, tensor in complete.items() if name != first},
        {**complete, "surplus": torch.zeros(1)},
        {**complete, first: torch.zeros(1)},
    ):
        with pytest.raises(DamagedModel, match=r"^parameters: "):
            upstream_network(spec, wrong)
