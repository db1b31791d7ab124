"""Which device infers, in which precision, and how much it is given at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from pipeline.gpu.kernels import Capability, has_kernels
from pipeline.gpu.memory import machine_bytes
from pipeline.gpu.models.specs import Precision
from pipeline.settings import DeviceSettings, InvalidSettings
from pipeline.variables import variable

Kind = Literal["cpu", "cuda", "mps"]

CPU_SIDES: tuple[int, ...] = (32, 48, 64, *range(68, 289, 4))
"""On a CPU a new shape costs milliseconds, and only windows of some thousand pixels gain from batching: larger ones
fit their picture closely instead. Steps of 16 would compute a tenth more pixels. A window of 288 bounds how long an
interactive job waits for the launch before it."""
GPU_SIDES = (96, 160, 288, 544)
"""On a GPU tiles batch only with others of their shape, so there are few."""

MAX_CPU_LAUNCHES = 8
"""On a CPU launches of one thread each run side by side. Threads that share a launch meet at a barrier after every
convolution, so that one that is held up, by an encoder or by a neighbour on the machine, holds up all; measured, the
same work takes 2 to 3 times as long then, and no less on a quiet machine. Each launch has memory of its own."""

GPU_BYTES_PER_PIXEL: dict[Precision, int] = {"fp32": 16_384, "bf16": 8_192, "fp16": 8_192}
"""Peak per source pixel of a launch: four live maps of 64 channels at 16 times the pixels."""
GPU_MEMORY_SHARE = 0.6
INDEXABLE_PIXELS: int = 2**31 // (64 * 16) - 1
"""Source pixels of a launch beyond which the largest map outgrows 32-bit indices."""
UNKNOWN_GPU_BYTES: int = 8 * 2**30
MODEL_MEMORY_SHARE = 0.2
"""Of the memory where parameters lie, for models that stay loaded: on a GPU what launches leave, and room beside it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine has."""

    threads: int
    """CPU threads that torch would use."""
    cpu_bf16: bool
    """The CPU multiplies bf16 natively; emulated bf16 is slower than float32."""
    cuda_name: str | None = None
    """Name of the first CUDA device; None when there is none."""
    cuda_bytes: int = 0
    cuda_bf16: bool = False
    cuda_capability: Capability = (0, 0)
    cuda_kernels: tuple[str, ...] = ()
    """What this torch was built for; empty where that is not known."""
    mps: bool = False
    memory_bytes: int = UNKNOWN_GPU_BYTES
    """Memory that this process may have on the machine."""


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The device, and how it is best fed."""

    device: Kind
    name: str
    """For people: logs, /ready and `upscale doctor`."""
    precision: Precision
    """Arithmetic of the convolutions."""
    threads: int
    """CPU threads of one launch."""
    sides: tuple[int, ...]
    """Window sides, ascending, source pixels."""
    max_batch_tiles: int
    max_batch_pixels: int
    """Source pixels of one launch, windows' context included."""
    launches: int = 1
    """Launches side by side."""
    native_bf16: bool = False
    """The device multiplies bf16 itself."""
    model_bytes: int = 2**30
    """Memory for models that stay loaded."""

    def batch_limit(self, height: int, width: int, precision: Precision | None = None) -> int:
        """Most windows of this size in one launch of a network in `precision`, or the profile's own; at least one."""
        pixels = self.max_batch_pixels
        if self.device != "cpu" and precision is not None:
            pixels = pixels * GPU_BYTES_PER_PIXEL[self.precision] // GPU_BYTES_PER_PIXEL[precision]
        return max(1, min(self.max_batch_tiles, min(pixels, self.max_batch_pixels) // (height * width)))

    def precision_for(self, good: Collection[Precision]) -> Precision:
        """The arithmetic for a network that is `good` in some only: the device's own, or the next wider one."""
        if self.precision in good:
            return self.precision
        if self.precision == "fp16" and "bf16" in good and self.native_bf16:
            return "bf16"
        return "fp32"


def probe() -> Facts:
    """Ask torch what there is. Starts no work on any device."""
    cuda = torch.cuda.is_available()
    properties = torch.cuda.get_device_properties(0) if cuda else None
    return Facts(
        threads=torch.get_num_threads(),
        cpu_bf16=_cpu_has("_is_avx512_bf16_supported") or _cpu_has("_is_amx_tile_supported"),
        cuda_name=properties.name if properties else None,
        cuda_bytes=properties.total_memory if properties else 0,
        cuda_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
        cuda_capability=(properties.major, properties.minor) if properties else (0, 0),
        cuda_kernels=tuple(torch.cuda.get_arch_list()),
        mps=torch.backends.mps.is_available(),
        memory_bytes=machine_bytes(),
    )


def _cpu_has(probe_name: str) -> bool:
    """torch's own probes are private; one that is gone counts as a no, which costs speed and nothing else."""
    ask = getattr(torch.cpu, probe_name, None)
    return bool(ask and ask())


def choose(settings: DeviceSettings, facts: Facts) -> DeviceProfile:
    """The profile for these settings on this machine. Raises `InvalidSettings` naming the variable."""
    device = _device(settings, facts)
    precision = _precision(settings, device, facts)
    pixels = _batch_pixels(device, precision, facts)
    threads = settings.threads or facts.threads
    launches = min(threads, MAX_CPU_LAUNCHES) if device == "cpu" else 1
    return DeviceProfile(
        device=device,
        name=(facts.cuda_name or "cuda") if device == "cuda" else device,
        precision=precision,
        threads=threads // launches,
        sides=_sides(CPU_SIDES if device == "cpu" else GPU_SIDES, settings.tile_size),
        max_batch_tiles=settings.max_batch_tiles or (4 if device == "cpu" else 32),
        max_batch_pixels=pixels,
        launches=launches,
        native_bf16=facts.cpu_bf16 if device == "cpu" else facts.cuda_bf16,
        model_bytes=settings.model_memory_bytes or _model_bytes(device, facts),
    )


def alone(profile: DeviceProfile) -> DeviceProfile:
    """The same device with one launch at a time, which has all of its threads."""
    return replace(profile, threads=profile.threads * profile.launches, launches=1)


def _device(settings: DeviceSettings, facts: Facts) -> Kind:
    there: dict[Kind, bool] = {"cuda": facts.cuda_name is not None, "mps": facts.mps, "cpu": True}
    present = [kind for kind, found in there.items() if found]
    device = present[0] if settings.device == "auto" else settings.device
    if device not in present:
        raise _invalid("device", f"must be auto or one of {', '.join(present)} on this machine", device)
    if device == "cuda" and not has_kernels(facts.cuda_capability, facts.cuda_kernels):
        card = f"{facts.cuda_name} (sm_{facts.cuda_capability[0]}{facts.cuda_capability[1]})"
        rule = f"must be cpu with {card}, for which this torch has no kernels: it has {', '.join(facts.cuda_kernels)}"
        raise _invalid("device", rule, settings.device)
    return device


def _precision(settings: DeviceSettings, device: Kind, facts: Facts) -> Precision:
    asked = settings.precision
    if asked == "auto":
        return _best_precision(device, facts)
    if device == "cpu" and asked == "fp16":
        raise _invalid("precision", "must be auto, fp32 or bf16 on a CPU, where fp16 is many times slower", asked)
    if device == "cuda" and asked == "bf16" and not facts.cuda_bf16:
        raise _invalid("precision", f"must be auto, fp32 or fp16 on {facts.cuda_name}, which does not know bf16", asked)
    return asked


def _best_precision(device: Kind, facts: Facts) -> Precision:
    match device:
        case "cuda":
            # bf16 has float32's range, so it cannot overflow into the NaN tiles that fp16 gives on some cards.
            return "bf16" if facts.cuda_bf16 else "fp16"
        case "mps":
            return "fp16"
        case "cpu":
            return "bf16" if facts.cpu_bf16 else "fp32"


def _sides(sides: Sequence[int], largest: int) -> tuple[int, ...]:
    if not largest:
        return tuple(sides)
    return (*(side for side in sides if side < largest), largest)


def _batch_pixels(device: Kind, precision: Precision, facts: Facts) -> int:
    if device == "cpu":
        return CPU_SIDES[-1] * CPU_SIDES[-1]
    memory = facts.cuda_bytes if device == "cuda" else UNKNOWN_GPU_BYTES
    return min(INDEXABLE_PIXELS, int(GPU_MEMORY_SHARE * memory) // GPU_BYTES_PER_PIXEL[precision])


def _model_bytes(device: Kind, facts: Facts) -> int:
    return int(MODEL_MEMORY_SHARE * (facts.cuda_bytes if device == "cuda" else facts.memory_bytes))


def _invalid(field: str, rule: str, value: str) -> InvalidSettings:
    return InvalidSettings(f"{variable('device', field)}: {rule}, got {value!r}")
