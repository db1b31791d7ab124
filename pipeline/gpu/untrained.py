"""A face network with parameters that nobody trained: it computes as much as the published one, and nothing of use."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from pipeline.batching.work import TilePixels
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models.specs import FaceShape, ModelSpec
from pipeline.gpu.networks.faces import face_network, upstream_face_network
from pipeline.gpu.networks.upstream import FACE_NETWORKS


def untrained(spec: ModelSpec, profile: DeviceProfile, seed: int) -> LoadedModel:
    """The network of `spec` on the profile's device, in the layout of its published file.

    Raises `ValueError` for a model that is none of upstream's face networks.
    """
    shape = _shape(spec)
    precision = profile.precision_for(spec.precisions)
    network = face_network(shape, _parameters(shape, seed), profile.device, precision)
    return LoadedModel(spec, "untrained", network, lambda: network, precision)


def untrained_upstream(spec: ModelSpec, profile: DeviceProfile, seed: int) -> Callable[[Sequence[TilePixels]], None]:
    """Upstream's own class with the same parameters, as GFPGANer runs it: float32 as torch comes, one crop after the
    other.

    What it gives takes crops of (512, 512, 3) uint8, and blocks. Raises `ValueError` as `untrained` does.
    """
    shape = _shape(spec)
    network = upstream_face_network(shape, _parameters(shape, seed)).to(profile.device)

    @torch.inference_mode()
    def run(crops: Sequence[TilePixels]) -> None:
        torch.set_num_threads(profile.threads)
        with _float32_as_torch_comes():
            for crop in crops:
                pixels = torch.from_numpy(crop).to(profile.device).permute(2, 0, 1).unsqueeze(0).div(127.5).sub(1)
                network(pixels.contiguous(), return_rgb=False)[0].cpu()

    return run


@contextmanager
def _float32_as_torch_comes() -> Iterator[None]:
    """Our lane switches off, for the whole process, that CUDA shortens float32 in convolutions."""
    ours = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = ours


def _shape(spec: ModelSpec) -> FaceShape:
    if not isinstance(spec.architecture, FaceShape) or spec.architecture.network not in FACE_NETWORKS:
        raise ValueError(f"{spec.name}: must be a face network of upstream")
    return spec.architecture


def _parameters(shape: FaceShape, seed: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = FACE_NETWORKS[shape.network]().state_dict()
    chance = torch.Generator().manual_seed(seed)
    return {name: _drawn(value, chance) for name, value in shapes.items()}


def _drawn(like: Tensor, chance: torch.Generator) -> Tensor:
    """Small enough that sums stay finite through some hundred layers."""
    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    fan_in = like[0].numel() if like.dim() > 1 else 4
    return torch.randn(like.shape, generator=chance).abs_() / (2 * fan_in)
