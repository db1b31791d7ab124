"""Networks with drawn parameters, in files laid out as upstream's own: for models whose weights are not at hand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from spandrel.architectures.SwinIR import SwinIR
from torch import Tensor, nn

from pipeline.gpu.models import catalog
from pipeline.gpu.models.specs import DetectedShape, ModelSpec, OfficialWeights, RRDBShape, SRVGGShape
from pipeline.gpu.networks.upstream import RRDBNet, SRVGGNetCompact
from tests.support.photographs import photograph

SIDE = 16
"""Of the crop by which drawn networks are scaled, pixels."""

X4PLUS = catalog.find("realesrgan-x4plus")
VIDEO = catalog.find("realesr-animevideov3")
REALESRNET = replace(X4PLUS, name="drawn-realesrnet-x4plus", carried=None)
X2PLUS = replace(X4PLUS, name="drawn-x2plus", scale=2, multiple=2, carried=None)
X1 = replace(X4PLUS, name="drawn-x1", architecture=RRDBShape(blocks=1), scale=1, multiple=4, pad=80, carried=None)
GENERAL = replace(VIDEO, name="drawn-general-x4v3", architecture=SRVGGShape(convs=32), pad=34, carried=None)
SWINIR_M = replace(X4PLUS, name="drawn-swinir-m-x4", architecture=DetectedShape(), multiple=8, carried=None)
SWINIR_M_X2 = replace(SWINIR_M, name="drawn-swinir-m-x2", scale=2)
SWINIR_L = replace(SWINIR_M, name="drawn-swinir-l-x4")
SWINIR_SMALL = replace(SWINIR_M, name="drawn-swinir-small-x4")
"""Too small for any use, and loaded in no time."""


@dataclass(frozen=True, slots=True)
class Swin:
    """SwinIR's sizes; those of the released files are upstream's."""

    depths: int
    width: int
    heads: int
    residual: str


SWINS = {
    SWINIR_M.name: Swin(6, 180, 6, "1conv"),
    SWINIR_M_X2.name: Swin(6, 180, 6, "1conv"),
    SWINIR_L.name: Swin(9, 240, 8, "3conv"),
    SWINIR_SMALL.name: Swin(1, 12, 2, "1conv"),
}


def network(spec: ModelSpec) -> nn.Module:
    """The class of a model with the parameters that torch happens to draw."""
    module: nn.Module
    match spec.architecture:
        case RRDBShape(blocks):
            module = RRDBNet(3, 3, scale=spec.scale, num_block=blocks)
        case SRVGGShape(convs):
            module = SRVGGNetCompact(num_conv=convs, upscale=spec.scale)
        case _:
            module = _swinir(spec.scale, SWINS[spec.name])
    return module


def _swinir(scale: int, swin: Swin) -> nn.Module:
    module: nn.Module = SwinIR(
        upscale=scale,
        img_size=64,
        window_size=8,
        depths=[6 if swin.depths > 1 else 2] * swin.depths,
        embed_dim=swin.width,
        num_heads=[swin.heads] * swin.depths,
        mlp_ratio=2,
        upsampler="nearest+conv",
        resi_connection=swin.residual,
    )
    return module


def drawn(spec: ModelSpec, seed: int = 5) -> dict[str, Tensor]:
    """Parameters by seed, the last convolution so scaled that answers to a photograph spread over 0..1.

    As torch draws them, networks of this depth answer in a flat grey, and any two agree to a step.
    """
    torch.manual_seed(seed)
    module: Any = network(spec).eval()
    last = module.body[-1] if isinstance(spec.architecture, SRVGGShape) else module.conv_last
    seen: list[Tensor] = []
    hook = last.register_forward_hook(lambda _, __, output: seen.append(output))
    picture = torch.from_numpy(photograph("astronaut", SIDE, SIDE)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        module(picture)
    hook.remove()
    # The sum of what each class adds to it is in the middle already, but for RRDBNet, which adds nothing.
    middle, spread = (0.5, 0.25) if isinstance(spec.architecture, RRDBShape) else (0.0, 0.25)
    with torch.no_grad():
        factor = spread / seen[0].std()
        last.weight.mul_(factor)
        last.bias.copy_((last.bias - seen[0].mean()) * factor + middle)
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def official(tensors: Mapping[str, Tensor], path: Path, layout: str = "params_ema") -> OfficialWeights:
    """Write a file as upstream does, the parameters under their key, and say what it is."""
    torch.save({layout: dict(tensors)}, path)
    blob = path.read_bytes()
    return OfficialWeights(path.name, hashlib.sha256(blob).hexdigest(), f"https://example.com/{path.name}", len(blob))


def installed(spec: ModelSpec, folder: Path, *, seed: int = 5, layout: str = "params_ema") -> ModelSpec:
    """The model with drawn weights that lie in `folder` and are pinned by their digest."""
    return replace(spec, official=official(drawn(spec, seed), folder / f"{spec.name}.pth", layout))


def with_denoiser(spec: ModelSpec, folder: Path) -> ModelSpec:
    """The model with a second file of its architecture beside its own, both laid out as upstream's are."""
    own = installed(spec, folder, layout="params")
    return replace(own, denoiser=official(drawn(spec, seed=6), folder / f"{spec.name}-wdn.pth", "params"))
