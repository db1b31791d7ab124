"""Networks found out from their parameters, on small ones."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from spandrel import ImageModelDescriptor
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SwinIR.__arch.SwinIR import SwinTransformerBlock
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.infer import infer
from pipeline.gpu.model import load_spec
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.networks.detected import DetectedNetwork, _turn, detected_network, try_out
from pipeline.gpu.networks.unsupported import UnsupportedNetwork
from pipeline.gpu.networks.upscalers import Network
from schemas.failures import FailureCode
from tests.support import drawn
from tests.support.images import make_pixels
from tests.support.networks import cpu_profile, raising

SMALL = drawn.SWINIR_SMALL


def esrgan(channels: int = 3, scale: int = 4) -> dict[str, Tensor]:
    """Parameters as a trainer of other networks would leave them."""
    return dict(ESRGAN(in_nc=channels, out_nc=channels, num_filters=8, num_blocks=1, scale=scale).state_dict())


@pytest.mark.parametrize("size", [(16, 24), (5, 3), (1, 1)])
@torch.inference_mode()
def test_detected_network_answers_in_cells_of_its_scale(size: tuple[int, int]) -> None:
    """Whatever size: what is too small for it is extended and the answer cut."""
    tensors = drawn.drawn(SMALL)
    network = detected_network(SMALL, tensors, "cpu")
    theirs = drawn.network(SMALL)
    theirs.load_state_dict(tensors)
    pixels = torch.rand(2, 3, *size)

    cells = network.at("fp32")(pixels)

    assert cells.shape == (2, size[0], 4, size[1], 4, 3)
    assert cells.dtype == torch.float32
    if size == (16, 24):
        picture = cells.reshape(2, 64, 96, 3).permute(0, 3, 1, 2)
        torch.testing.assert_close(picture, theirs.eval()(pixels).clamp(0, 1))


@torch.inference_mode()
def test_sixteen_bit_form_answers_at_any_size_in_float32() -> None:
    """SwinIR as spandrel ships it raises in 16-bit parameters when a picture is not of the size it was trained on."""
    network = detected_network(SMALL, drawn.drawn(SMALL), "cpu")
    pixels = torch.rand(1, 3, 24, 16)

    low, exact = network.at("bf16")(pixels), network.at("fp32")(pixels)

    assert low.dtype == torch.float32
    assert not torch.equal(low, exact)
    torch.testing.assert_close(low, exact, rtol=0, atol=0.05)


@torch.inference_mode()
def test_swinir_answers_as_spandrels_own_to_the_last_bit() -> None:
    """At whatever size: blocks share their masks, and masks that were let go are made again."""
    tensors = drawn.drawn(SMALL)
    theirs = drawn.network(SMALL).eval()
    theirs.load_state_dict(tensors)
    ours = detected_network(SMALL, tensors, "cpu").descriptor.model

    for size in [(24, 16), (16, 24), (40, 16), (24, 16), (64, 64)]:
        pixels = torch.rand(1, 3, *size)
        assert torch.equal(ours(pixels), theirs(pixels))


@torch.inference_mode()
def test_blocks_of_a_swinir_share_two_masks_for_each_of_few_sizes() -> None:
    """The size that was not used for longest loses its own, so that they never fill the device."""
    network = detected_network(SMALL, drawn.drawn(SMALL), "cpu")
    blocks = [module for module in network.descriptor.model.modules() if isinstance(module, SwinTransformerBlock)]

    first = [block.calculate_mask((24, 16)) for block in blocks]
    again = [block.calculate_mask((24, 16)) for block in blocks]
    assert {id(mask) for mask in first} == {id(mask) for mask in again}
    assert len({id(mask) for mask in first}) == 2

    for block in blocks:
        for other in ((16, 24), (32, 32)):
            block.calculate_mask(other)
    assert blocks[0].calculate_mask((24, 16)) is not first[0]


def test_detected_network_has_the_precisions_that_it_and_its_entry_allow(tmp_path: Path) -> None:
    """The provenance of a result names the one it really ran in."""
    low = replace(cpu_profile(), precision="bf16")
    spec = drawn.installed(SMALL, tmp_path)

    assert load_spec(spec, None, low, tmp_path).facts.precision == "bf16"
    assert load_spec(replace(spec, precisions=("fp32",)), None, low, tmp_path).facts.precision == "fp32"
    assert load_spec(spec, None, cpu_profile(), tmp_path).facts.precision == "fp32"


def test_forms_share_their_parameters(tmp_path: Path) -> None:
    """So float32 is there at no cost, and the model is charged for once."""
    spec = drawn.installed(SMALL, tmp_path)
    low = load_spec(spec, None, replace(cpu_profile(), precision="bf16"), tmp_path)

    assert low.bytes == load_spec(spec, None, cpu_profile(), tmp_path).bytes
    with torch.inference_mode():
        assert infer(low, [make_pixels(16, 16)], "cpu")[0].shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("tensors", "spec", "why"),
    [
        (esrgan(channels=1), SMALL, r"ESRGAN network with 1 channels in and 1 out: both must be 3"),
        (esrgan(), replace(SMALL, scale=2), r"ESRGAN network of scale 4: must be 2"),
        ({"weight": torch.zeros(1)}, SMALL, r"no architecture fits"),
        ({name: tensor[:1] for name, tensor in esrgan().items()}, SMALL, r"no architecture fits|cannot be run"),
    ],
    ids=["one channel", "another scale", "nothing known", "torn"],
)
def test_network_that_cannot_be_served_is_refused_with_what_it_is(
    tensors: dict[str, Tensor], spec: ModelSpec, why: str
) -> None:
    """Before it is launched: there its failure would be that of a job."""
    with pytest.raises(UnsupportedNetwork, match=why):
        detected_network(spec, tensors, "cpu")


FAULTS: list[Exception] = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    torch.OutOfMemoryError("CUDA out of memory."),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_failure_of_the_device_is_not_the_networks(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is for good: a network that met a short or broken device must be tried again."""
    network = detected_network(SMALL, drawn.drawn(SMALL), "cpu")
    monkeypatch.setattr(ImageModelDescriptor, "__call__", raising(fault))

    with pytest.raises(type(fault)) as caught:
        try_out(SMALL, network, "fp32", (8, 8))

    assert caught.value is fault


def test_network_is_tried_as_it_will_be_launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, and in its own precision at a window that is not square."""
    tried: list[tuple[bool, int, int]] = []
    ask = ImageModelDescriptor.__call__

    def noting(descriptor: ImageModelDescriptor[Any], pixels: Tensor) -> Tensor:
        tried.append((torch.is_autocast_enabled("cpu"), *pixels.shape[2:]))
        return ask(descriptor, pixels)

    monkeypatch.setattr(ImageModelDescriptor, "__call__", noting)
    spec = drawn.installed(SMALL, tmp_path)
    load_spec(spec, None, replace(cpu_profile(), precision="bf16", sides=(16, 24, 64)), tmp_path)

    assert tried == [(False, 16, 16), (True, 16, 24)]


def test_refusal_reaches_the_caller_as_the_models(tmp_path: Path) -> None:
    """With the reason, which names no file."""
    spec = replace(SMALL, official=drawn.official(esrgan(channels=1), tmp_path / "grey.pth"))

    with pytest.raises(JobFailed, match=r"cannot be run by this worker: ESRGAN network with 1 channels") as failed:
        load_spec(spec, None, cpu_profile(), tmp_path)

    assert failed.value.code is FailureCode.MODEL_UNSUPPORTED
    assert str(tmp_path) not in failed.value.message


def test_esrgan_of_an_operator_is_served(tmp_path: Path) -> None:
    """A network of another trainer in another layout, by the same way."""
    spec = replace(SMALL, multiple=1, official=drawn.official(esrgan(), tmp_path / "own.pth"))

    with torch.inference_mode():
        (picture,) = infer(load_spec(spec, None, cpu_profile(), tmp_path), [make_pixels(9, 7)], "cpu")

    assert picture.shape == (36, 28, 3)
    assert picture.dtype == np.uint8


def standing_in(call: Callable[[Tensor], Tensor], architecture: str) -> tuple[Network, Any]:
    """A network that does `call`, and what a thread must have to be in it."""
    call.scale = 1  # type: ignore[attr-defined]
    turn = _turn(architecture)
    return DetectedNetwork(cast("ImageModelDescriptor[Any]", call), "cpu", turn).at("fp32"), turn


def test_network_of_read_code_is_used_by_several_threads_at_once() -> None:
    """Side by side, as launches on a CPU are: each waits in it for the other."""
    met = threading.Barrier(2)

    def call(pixels: Tensor) -> Tensor:
        met.wait(timeout=30)
        return pixels

    network, _ = standing_in(call, "SwinIR")
    with ThreadPoolExecutor(2) as threads:
        launches = [threads.submit(network, torch.rand(1, 3, 2, 2)) for _ in range(2)]
        assert all(launch.result(timeout=30).shape == (1, 2, 1, 2, 1, 3) for launch in launches)


def test_network_of_unread_code_is_used_by_one_thread_at_a_time() -> None:
    """Some keep what they compute in themselves, where another launch would find it."""
    held: list[bool] = []

    def call(pixels: Tensor) -> Tensor:
        held.append(turn.locked())
        return pixels

    network, turn = standing_in(call, "unread")
    network(torch.rand(1, 3, 2, 2))

    assert held == [True]
    assert not turn.locked()
