"""Upstream's own program, run as it really runs: the yardstick of the benchmark and of the parity tests."""

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.models import weights
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.networks.upscalers import upstream_network
from pipeline.gpu.networks.upstream import RealESRGANer
from pipeline.imaging.raster import Pixels


@dataclass(frozen=True, slots=True)
class Manner:
    """How upstream's program is run."""

    device: str = "cpu"
    """Its own default is a GPU wherever there is one."""
    half: bool = False
    """float16, as its script takes on a GPU unless told otherwise."""
    tile: int = 0
    """0 takes pictures whole."""
    pad: int = 0


def as_its_script(profile: DeviceProfile, tile: int, pad: int) -> Manner:
    """On the same device as ours, and in the arithmetic that its script has there."""
    return Manner(profile.device, profile.device == "cuda" and profile.precision != "fp32", tile, pad)


def enhancer(spec: ModelSpec, weights_folder: Path, scratch: Path, manner: Manner) -> Any:
    """A `RealESRGANer` with the weights our engine would load.

    `scratch` is a folder for a `.pth` in upstream's layout, the only form it reads.
    """
    tensors = weights.load(spec, weights_folder).tensors
    path = scratch / f"{spec.name}.pth"
    torch.save({"params": dict(tensors)}, path)
    return RealESRGANer(
        scale=spec.scale,
        model_path=str(path),
        model=upstream_network(spec, _copies(tensors)),
        tile=manner.tile,
        tile_pad=manner.pad,
        pre_pad=0,
        half=manner.half,
        device=torch.device(manner.device),
    )


def enhance(upstream: Any, picture: Pixels, scale: float | None = None) -> Pixels:
    """(height, width[, 3 or 4]) RGB[A] in, the same enlarged out, its channel order and its printing undone.

    `scale` is the network's own where none is given; upstream resizes to another one itself.
    """
    order = [2, 1, 0, 3]
    channels = order[: picture.shape[2]] if picture.ndim == 3 else None
    with contextlib.redirect_stdout(io.StringIO()):
        result: Pixels = upstream.enhance(picture if channels is None else picture[..., channels], outscale=scale)[0]
    return result if channels is None else result[..., channels]


def runner(
    spec: ModelSpec, weights_folder: Path, scratch: Path, manner: Manner, *, threads: int
) -> Callable[[Pixels], Pixels]:
    """Upstream as a function that may be called in any thread, with as many CPU threads as our own engine."""
    upstream = enhancer(spec, weights_folder, scratch, manner)

    def run(picture: Pixels) -> Pixels:
        torch.set_num_threads(threads)
        return enhance(upstream, picture)

    return run


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
