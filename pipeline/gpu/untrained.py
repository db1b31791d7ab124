"""A face network with parameters that nobody trained: it computes as much as the published one, and nothing of use."""

import torch
from torch import Tensor

from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.face_networks import face_network
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.specs import FaceShape, ModelSpec
from pipeline.gpu.upstream import FACE_NETWORKS


def untrained(spec: ModelSpec, profile: DeviceProfile, seed: int) -> LoadedModel:
    """The network of `spec` on the profile's device, in the layout of its published file.

    Raises `ValueError` for a model that is none of upstream's face networks.
    """
    if not isinstance(spec.architecture, FaceShape) or spec.architecture.network not in FACE_NETWORKS:
        raise ValueError(f"{spec.name}: must be a face network of upstream")
    with torch.device("meta"):
        shapes = FACE_NETWORKS[spec.architecture.network]().state_dict()
    chance = torch.Generator().manual_seed(seed)
    tensors = {name: _drawn(value, chance) for name, value in shapes.items()}
    precision = profile.precision_for(spec.precisions)
    network = face_network(spec.architecture, tensors, profile.device, precision)
    return LoadedModel(spec, "untrained", network, lambda: network, precision)


def _drawn(like: Tensor, chance: torch.Generator) -> Tensor:
    """Small enough that sums stay finite through some hundred layers."""
    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    fan_in = like[0].numel() if like.dim() > 1 else 4
    return torch.randn(like.shape, generator=chance).abs_() / (2 * fan_in)
