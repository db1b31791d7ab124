"""Files of weights as upstream publishes them, made up: small, and known by their digest."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.gpu.models import catalog
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights

SPEC = catalog.find("realesrnet-x4plus")
"""A model of which nothing comes with the install."""


def saved(content: object) -> bytes:
    """As `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def weights_file(seed: int = 0, count: int = 30_000) -> bytes:
    """A `.pth` in upstream's layout, of about four times as many bytes as it has numbers."""
    return saved({"params_ema": numbers(seed, count)})


def numbers(seed: int = 0, count: int = 30_000) -> Mapping[str, Tensor]:
    """What lies in it."""
    return {"body.0.weight": torch.rand(count, generator=torch.Generator().manual_seed(seed))}


def pinned(blob: bytes, file: str = "tiny.pth") -> OfficialWeights:
    """The catalogue's knowledge of `blob`."""
    return OfficialWeights(file, hashlib.sha256(blob).hexdigest(), f"https://release.invalid/{file}", len(blob))


def publishing(blob: bytes, name: str = "tiny", file: str = "tiny.pth") -> ModelSpec:
    """A model whose published file is `blob`."""
    return replace(SPEC, name=name, aliases=(), official=pinned(blob, file))
