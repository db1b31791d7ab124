"""The networks for faces behind the seam of `upscalers.py`, and the one that finds them, which has a seam of its own.

Those that restore and the one that parses take crops and give cells with a side of 1, so that crops of all pictures in
flight share launches as tiles do.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import FaceShape, Precision
from pipeline.gpu.networks.dtypes import DTYPES
from pipeline.gpu.networks.modulated import with_shared_weights
from pipeline.gpu.networks.unsupported import UnsupportedNetwork
from pipeline.gpu.networks.upstream import FACE_NETWORKS, GFPGANv1Clean, retinaface_utils

NOT_PASTED = (0, 14, 16, 17, 18)
"""Of ParseNet's 19 classes: background, neck, clothes, hair and hat, as in facexlib."""
CLASSES = 19
MOBILE_MARK = "body.stage1.0.0.weight"
"""A parameter that RetinaFace has on MobileNet only."""
CODEFORMER = "CodeFormer"
CODEFORMER_PACKAGE = "spandrel_extra_arches"
MEAN_BGR = (104.0, 117.0, 123.0)
"""What RetinaFace has taken off its pixels, of 255."""


def upstream_face_network(shape: FaceShape, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Upstream's class with these parameters, float32 on the CPU.

    Raises `DamagedModel` when the keys differ, `UnsupportedNetwork` when the class is not installed.
    """
    # Files that were saved from several devices at once name everything `module.`.
    named = {name.removeprefix("module."): value for name, value in tensors.items()}
    if shape.network == CODEFORMER:
        return _codeformer(named)
    mobile = shape.network == "RetinaFace" and MOBILE_MARK in named
    build = FACE_NETWORKS[f"{shape.network} of MobileNet" if mobile else shape.network]
    with torch.device("meta"):
        module = build()
    try:
        module.load_state_dict(named, assign=True)
    except RuntimeError as error:
        raise DamagedModel(f"parameters: {str(error)[:500]}") from error
    return module.eval().requires_grad_(requires_grad=False)


def _codeformer(tensors: Mapping[str, Tensor]) -> nn.Module:
    """Its code is under its licence too, so that it comes only with a package that an operator adds."""
    try:
        package = import_module(f"{CODEFORMER_PACKAGE}.architectures.CodeFormer")
    except ModuleNotFoundError:
        raise UnsupportedNetwork(
            f"CodeFormer's code is not installed, for its licence forbids commercial use; who may use it installs the "
            f"package {CODEFORMER_PACKAGE} beside this program"
        ) from None
    try:
        module: nn.Module = package.CodeFormerArch().load(dict(tensors)).model
    except (KeyError, RuntimeError) as error:
        raise DamagedModel(f"parameters: {str(error)[:500]}") from error
    return module.eval().requires_grad_(requires_grad=False)


def face_network(
    shape: FaceShape, tensors: Mapping[str, Tensor], device: str, precision: Precision
) -> "Restorer | Parser | Detector":
    """The network for one device. `precision` is that of the convolutions. Raises `DamagedModel`."""
    module = upstream_face_network(shape, tensors).to(device)
    if shape.network == "RetinaFace":
        return Detector(module)
    if isinstance(module, GFPGANv1Clean):
        module = with_shared_weights(module)
    module = module.to(memory_format=torch.channels_last)
    return (Parser if shape.network == "ParseNet" else Restorer)(module, DTYPES[precision])


class Restorer:
    """A network that restores faces: (n, 3, 512, 512) float32 in 0..1 to cells of the same size."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        self._net: Any = module
        self._dtype = dtype

    def __call__(self, pixels: Tensor) -> Tensor:
        with _computing(pixels, self._dtype):
            # Upstream leaves the noise to chance, so that no two of its answers are equal; the file has its own.
            faces = self._net(_centred(pixels), return_rgb=False, randomize_noise=False)[0]
        return _as_cells(faces.float().add_(1).mul_(0.5))


class Parser:
    """ParseNet: (n, 3, 512, 512) float32 in 0..1 to cells of the same size: 1 where a face is pasted, 0 elsewhere."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        self._net: Any = module
        self._dtype = dtype

    def __call__(self, pixels: Tensor) -> Tensor:
        with _computing(pixels, self._dtype):
            scores = self._net(_centred(pixels))[0]
        pasted = torch.ones(CLASSES, device=pixels.device)
        pasted[list(NOT_PASTED)] = 0
        mask = pasted[scores.argmax(dim=1)]
        return _as_cells(mask.unsqueeze(1).expand(-1, 3, -1, -1))


class Detector:
    """RetinaFace: (1, 3, height, width) float32, BGR of 255, to one row for each of its guesses, (guesses, 15).

    A row has the box (left, top, right, bottom), the score, and the landmarks (x, y of each), in pixels. Always in
    float32: its scores are compared with a limit close to 1.
    """

    def __init__(self, module: nn.Module) -> None:
        self._net: Any = module

    def __call__(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        mean = torch.tensor(MEAN_BGR, device=pixels.device).view(1, 3, 1, 1)
        boxes, scores, landmarks = self._net(pixels - mean)
        around = priors(self._net.cfg, height, width).to(pixels.device)
        variance = self._net.cfg["variance"]
        sides = torch.tensor((width, height), dtype=torch.float32, device=pixels.device)
        return torch.cat(
            (
                retinaface_utils.decode(boxes[0], around, variance) * sides.repeat(2),
                scores[0, :, 1:],
                retinaface_utils.decode_landm(landmarks[0], around, variance) * sides.repeat(5),
            ),
            dim=1,
        )


def priors(config: Mapping[str, Any], height: int, width: int) -> Tensor:
    """Where RetinaFace guesses that faces are, (guesses, 4): middle and size as shares of the picture's sides.

    facexlib's `PriorBox`, which counts in a loop of Python and holds up the process for a second.
    """
    parts = []
    for step, sizes in zip(config["steps"], config["min_sizes"], strict=True):
        rows, columns = -(-height // step), -(-width // step)
        y = (torch.arange(rows, dtype=torch.float64) + 0.5) * step / height
        x = (torch.arange(columns, dtype=torch.float64) + 0.5) * step / width
        side = torch.tensor(sizes, dtype=torch.float64)
        shape = (rows, columns, len(sizes))
        part = (
            x.view(1, -1, 1).expand(shape),
            y.view(-1, 1, 1).expand(shape),
            (side / width).expand(shape),
            (side / height).expand(shape),
        )
        parts.append(torch.stack(part, dim=-1).view(-1, 4))
    return torch.cat(parts).float()


def _computing(pixels: Tensor, dtype: torch.dtype) -> torch.autocast:
    return torch.autocast(pixels.device.type, dtype=dtype, enabled=dtype is not torch.float32)


def _centred(pixels: Tensor) -> Tensor:
    """-1..1, channels last."""
    return pixels.mul(2).sub_(1).contiguous(memory_format=torch.channels_last)


def _as_cells(faces: Tensor) -> Tensor:
    """(n, 3, height, width) -> (n, height, 1, width, 1, 3)."""
    n, colours, height, width = faces.shape
    return faces.permute(0, 2, 3, 1).reshape(n, height, 1, width, 1, colours)
