"""Networks for faces with seeded random weights, narrow enough for a test, and files of them laid out as upstream's."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models import catalog, models_folder
from pipeline.gpu.models.catalog import described
from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.parameters import to_safetensors
from pipeline.gpu.models.specs import FaceShape, ModelSpec, Precision
from pipeline.gpu.networks.faces import face_network
from pipeline.gpu.networks.upstream import FACE_NETWORKS, GFPGANv1Clean, ParseNet

narrow_gfpgan: Callable[..., nn.Module] = partial(
    GFPGANv1Clean,
    out_size=512,
    num_style_feat=16,
    channel_multiplier=1,
    decoder_load_path=None,
    fix_decoder=False,
    num_mlp=8,
    input_is_latent=True,
    different_w=True,
    narrow=0.125,
    sft_half=True,
)
"""A hundredth of the work of the official one."""
narrow_parsenet: Callable[..., nn.Module] = partial(
    ParseNet, in_size=512, out_size=512, parsing_ch=19, base_ch=8, res_depth=1, ch_range=[8, 16]
)


def random_state(module: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Parameters for `module` as training might leave them: no two parts are alike, and nothing is zero by chance."""
    chance = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        drawn = torch.randn(value.shape, generator=chance)
        if name.endswith("running_var"):
            state[name] = 0.5 + drawn.abs()
        elif name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
        elif value.dim() > 1:
            state[name] = drawn / value[0].numel() ** 0.5
        else:
            state[name] = 1 + 0.1 * drawn if name.endswith("weight") else 0.1 * drawn
    return state


def saved(spec: ModelSpec, content: Mapping[str, object], folder: Path) -> ModelSpec:
    """`content` under the name of the published file, and the model whose published file that is."""
    assert spec.official is not None
    path = folder / spec.official.file
    torch.save(content, path)
    official = replace(spec.official, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return replace(spec, official=official)


def loaded(name: str, state: Mapping[str, Tensor], precision: Precision = "fp32") -> LoadedModel:
    """A model of the catalog with these parameters, on the CPU."""
    spec = catalog.find(name)
    assert isinstance(spec.architecture, FaceShape)
    network = face_network(spec.architecture, state, "cpu", precision)
    return LoadedModel(spec, "0" * 64, network, lambda: network)


def installed(name: str, folder: Path) -> None:
    """Random weights in the models folder, under a manifest that says they came from the published file."""
    spec = catalog.find(name)
    assert isinstance(spec.architecture, FaceShape)
    assert spec.official is not None
    with torch.device("meta"):
        module = FACE_NETWORKS[spec.architecture.network]()
    blob = to_safetensors(random_state(module))
    manifest = Manifest(
        model=spec.name,
        sha256=hashlib.sha256(blob).hexdigest(),
        size=len(blob),
        source_sha256=spec.official.sha256,
        source_size=spec.official.size,
        origin="a test",
        licence="none",
        architecture=described(spec),
        installed="now",
    )
    models_folder.install(folder, models_folder.published_stem(spec.official), blob, manifest)
