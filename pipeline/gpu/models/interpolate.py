"""The parameters of a variant: a model's own, or mixed with those of its denoiser."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from pipeline.gpu.models import weights
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.weights import Weights


def load(spec: ModelSpec, denoise: float | None, folder: Path) -> Weights:
    """The verified parameters at this denoising strength; None takes the model's own.

    Blocks for disk and hashing. Raises `JobFailed(MODEL_NOT_AVAILABLE)`, also when only the denoiser is missing.
    """
    own = weights.load(spec, folder)
    if denoise is None:
        return own
    # The same file by another name: the denoiser has the model's architecture and nothing of its own.
    other = weights.load(replace(spec, official=spec.denoiser, carried=None, denoiser=None), folder)
    try:
        return Weights(mixed(own.tensors, other.tensors, denoise), together((own.sha256, other.sha256)))
    except DamagedModel as error:
        raise weights.unavailable(spec, error) from error


def mixed(own: Mapping[str, Tensor], other: Mapping[str, Tensor], strength: float) -> dict[str, Tensor]:
    """`strength` of the one and the rest of the other, tensor by tensor, as upstream's `RealESRGANer.dni` does.

    Raises `DamagedModel` when they are not of one network.
    """
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in other.items()}:
        raise DamagedModel("denoiser: must have the parameters of its model, got those of another network")
    return {name: strength * tensor + (1 - strength) * other[name] for name, tensor in own.items()}


def together(digests: Iterable[str]) -> str:
    """One SHA-256 for files that make a picture together, in hex; their order counts. A single file keeps its own."""
    found = tuple(digests)
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()
