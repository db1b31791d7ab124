"""Choosing the device and how it is fed."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from pipeline.gpu.device import CPU_SIDES, GPU_SIDES, DeviceProfile, Facts, choose, probe
from pipeline.gpu.models.specs import Precision
from pipeline.settings import DeviceSettings, InvalidSettings

GIB = 1024**3
OLD_CPU = Facts(threads=8, cpu_bf16=False)
NEW_CPU = Facts(threads=8, cpu_bf16=True)
OLD_GPU = Facts(threads=8, cpu_bf16=True, cuda_name="Old", cuda_bytes=8 * GIB)
NEW_GPU = Facts(threads=8, cpu_bf16=True, cuda_name="New", cuda_bytes=140 * GIB, cuda_bf16=True)
MAC = Facts(threads=8, cpu_bf16=False, mps=True)


@pytest.mark.parametrize(
    ("facts", "device", "precision"),
    [
        (OLD_CPU, "cpu", "fp32"),
        (NEW_CPU, "cpu", "bf16"),
        (OLD_GPU, "cuda", "fp16"),
        (NEW_GPU, "cuda", "bf16"),
        (MAC, "mps", "fp16"),
    ],
)
def test_auto_takes_the_best_device_and_what_it_does_natively(facts: Facts, device: str, precision: Precision) -> None:
    """A GPU before the CPU; 16 bits only where the hardware multiplies them."""
    profile = choose(DeviceSettings(), facts)

    assert (profile.device, profile.precision) == (device, precision)


def test_fp16_on_a_cpu_is_refused_by_its_variable() -> None:
    """It would be hundreds of times slower, so it is never done, whatever the CPU."""
    with pytest.raises(InvalidSettings, match=r"^UPSCALE_DEVICE__PRECISION: .*got 'fp16'$"):
        choose(DeviceSettings(precision="fp16"), NEW_CPU)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_an_absent_device_is_refused_by_its_variable(device: Literal["cuda", "mps"]) -> None:
    """A worker told to use a GPU does not quietly run on the CPU."""
    with pytest.raises(InvalidSettings, match=rf"^UPSCALE_DEVICE__DEVICE: .*got '{device}'$"):
        choose(DeviceSettings(device=device), NEW_CPU)


def test_explicit_settings_win() -> None:
    """What an operator sets is what runs."""
    asked = DeviceSettings(device="cpu", precision="fp32", threads=3, max_batch_tiles=7, tile_size=100)

    profile = choose(asked, NEW_GPU)

    assert (profile.device, profile.precision, profile.max_batch_tiles) == ("cpu", "fp32", 7)
    assert profile.launches * profile.threads == 3
    assert profile.sides == (*(side for side in CPU_SIDES if side < 100), 100)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_may_run_any_precision_that_it_has(precision: Precision) -> None:
    """A precision that was asked for is taken as it is."""
    assert choose(DeviceSettings(precision=precision), NEW_GPU).precision == precision


def test_bf16_is_refused_on_a_card_without_it() -> None:
    """The card would emulate it, or fail in the middle of a job."""
    with pytest.raises(InvalidSettings, match=r"^UPSCALE_DEVICE__PRECISION: .*fp32 or fp16 on Old.*got 'bf16'$"):
        choose(DeviceSettings(precision="bf16"), OLD_GPU)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_card_without_kernels_is_refused_by_its_name(device: Literal["auto", "cuda"]) -> None:
    """Its first launch would end the worker, and so after each restart; on the CPU nobody would know of the card."""
    old = replace(OLD_GPU, cuda_capability=(7, 0), cuda_kernels=("sm_75", "sm_80"))

    with pytest.raises(
        InvalidSettings, match=rf"^UPSCALE_DEVICE__DEVICE: .*Old \(sm_70\).*sm_75, sm_80, got '{device}'$"
    ):
        choose(DeviceSettings(device=device), old)
    assert choose(DeviceSettings(device="cpu"), old).device == "cpu"
    assert choose(DeviceSettings(device=device), replace(old, cuda_capability=(7, 5))).device == "cuda"


def test_a_gpu_has_a_handful_of_window_sides() -> None:
    """Few shapes, so that tiles of different pictures match; the largest is the setting's."""
    assert choose(DeviceSettings(), NEW_GPU).sides == GPU_SIDES
    assert choose(DeviceSettings(tile_size=512), NEW_GPU).sides == (96, 160, 288, 512)
    assert choose(DeviceSettings(tile_size=64), NEW_GPU).sides == (64,)


def test_batches_stay_within_the_indices_of_a_large_gpu() -> None:
    """The largest map of a launch, 64 channels at 16 times the pixels, has fewer than 2^31 elements."""
    profile = choose(DeviceSettings(), NEW_GPU)

    for side in profile.sides:
        assert profile.batch_limit(side, side) * side * side * 64 * 16 < 2**31


def test_batches_shrink_with_the_memory_and_the_precision() -> None:
    """A small device gets small launches, and wider numbers get smaller ones."""
    small = choose(DeviceSettings(), OLD_GPU)
    exact = choose(DeviceSettings(precision="fp32"), OLD_GPU)

    assert exact.max_batch_pixels < small.max_batch_pixels < choose(DeviceSettings(), NEW_GPU).max_batch_pixels
    assert choose(DeviceSettings(), MAC).max_batch_pixels == small.max_batch_pixels


@pytest.mark.parametrize(("side", "limit"), [(8, 4), (16, 4), (32, 2), (45, 1), (1000, 1)])
def test_batch_limit_is_the_tighter_of_tiles_and_pixels(side: int, limit: int) -> None:
    """Small windows are limited by number, large ones by area, and one tile is always allowed."""
    profile = DeviceProfile("cpu", "cpu", "fp32", 1, (8,), max_batch_tiles=4, max_batch_pixels=2048)

    assert profile.batch_limit(side, side) == limit


@pytest.mark.parametrize(
    ("facts", "asked", "precision", "limit"),
    [
        (OLD_GPU, "auto", "fp16", 6),
        (OLD_GPU, "auto", "bf16", 6),
        (OLD_GPU, "auto", "fp32", 3),
        (OLD_GPU, "fp32", "fp32", 3),
        (OLD_GPU, "fp32", "fp16", 3),
        (NEW_CPU, "auto", "fp32", 1),
    ],
)
def test_network_in_wider_numbers_is_launched_with_fewer_windows(
    facts: Facts, asked: Literal["auto", "fp32"], precision: Precision, limit: int
) -> None:
    """A network that is not good in 16 bits would run out of memory in every full launch of a card that has them."""
    side = 288 if facts is NEW_CPU else 320

    assert choose(DeviceSettings(precision=asked), facts).batch_limit(side, side, precision) == limit


@pytest.mark.parametrize(
    ("facts", "asked", "good", "runs"),
    [
        (NEW_GPU, "auto", ("fp32", "bf16", "fp16"), "bf16"),
        (NEW_GPU, "auto", ("fp32",), "fp32"),
        (NEW_GPU, "auto", ("fp32", "fp16"), "fp32"),
        (NEW_GPU, "fp16", ("fp32", "bf16"), "bf16"),
        (OLD_GPU, "auto", ("fp32", "bf16"), "fp32"),
        (MAC, "auto", ("fp32", "bf16"), "fp32"),
        (NEW_CPU, "auto", ("fp32", "bf16"), "bf16"),
        (NEW_CPU, "fp32", ("fp32", "bf16"), "fp32"),
    ],
)
def test_a_network_runs_in_the_best_precision_that_it_and_the_device_are_good_in(
    facts: Facts, asked: Literal["auto", "fp32", "fp16"], good: tuple[Precision, ...], runs: Precision
) -> None:
    """Never in a wider one than need be, never in a 16-bit one that is not native, and never in more than was asked."""
    assert choose(DeviceSettings(precision=asked), facts).precision_for(good) == runs


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(NEW_GPU, memory_bytes=8 * GIB), 28 * GIB),
        (replace(NEW_CPU, memory_bytes=20 * GIB), 4 * GIB),
        (replace(MAC, memory_bytes=20 * GIB), 4 * GIB),
    ],
)
def test_models_get_a_fifth_of_the_memory_their_parameters_lie_in(facts: Facts, expected: int) -> None:
    """On a GPU its own; elsewhere the machine's. A setting wins."""
    assert choose(DeviceSettings(), facts).model_bytes == expected
    assert choose(DeviceSettings(model_memory_bytes=7), facts).model_bytes == 7


def test_probe_tells_what_torch_has() -> None:
    """The facts are torch's own words about this machine."""
    facts = probe()

    assert facts.threads == torch.get_num_threads()
    assert (facts.cuda_name is not None) == torch.cuda.is_available()
    assert facts.cuda_kernels == tuple(torch.cuda.get_arch_list())


def test_probe_counts_a_probe_that_torch_dropped_as_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's probes are private names; without them the worker still starts, in float32."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)

    assert probe().cpu_bf16 is False
