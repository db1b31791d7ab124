"""Upstream's architectures behind one seam, and our fast forms of them: the same layers, run in a cheaper order.

A network takes (n, 3, height, width) float32 in 0..1, whose sides are multiples of the model's own, and gives cells:
(n, height, scale, width, scale, 3) float32, not clamped, whose reading order is that of the enlarged picture. Memory
order may differ: whoever turns floats into bytes does so first and rearranges the bytes afterwards, which is a quarter
of the traffic.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import FaceShape, ModelSpec, Precision, RRDBShape, SRVGGShape
from pipeline.gpu.networks.dtypes import DTYPES
from pipeline.gpu.networks.faces import face_network
from pipeline.gpu.networks.upstream import RRDBNet, SRVGGNetCompact

Network = Callable[[Tensor], Tensor]

RESIDUAL_SCALE = 0.2
LEAKY_SLOPE = 0.2
UNSHUFFLES = {1: 4, 2: 2, 4: 1}
"""By scale: RRDBNet always enlarges four times; for less it first folds squares of this side into channels."""


def upstream_network(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Upstream's own class with these parameters, float32 on the CPU. Raises `DamagedModel` when the keys differ."""
    shape = spec.architecture
    module: nn.Module
    # Built without memory: upstream would fill 16 million parameters with random numbers first.
    with torch.device("meta"):
        if isinstance(shape, RRDBShape):
            module = RRDBNet(num_in_ch=3, num_out_ch=3, scale=spec.scale, num_block=shape.blocks)
        elif isinstance(shape, SRVGGShape):
            module = SRVGGNetCompact(num_conv=shape.convs, upscale=spec.scale)
        else:
            raise TypeError(f"{spec.name}: upstream has no class for {shape}")
    try:
        module.load_state_dict(tensors, strict=True, assign=True)
    except RuntimeError as error:
        raise DamagedModel(f"parameters: {str(error)[:500]}") from error
    return module.eval().requires_grad_(requires_grad=False)


def fast_network(spec: ModelSpec, tensors: Mapping[str, Tensor], device: str, precision: Precision) -> Network:
    """The same network for one device. `precision` is that of the convolutions; sums of residuals stay float32."""
    if isinstance(spec.architecture, FaceShape):
        return face_network(spec.architecture, tensors, device, precision)
    module = upstream_network(spec, tensors)
    if isinstance(spec.architecture, RRDBShape):
        return FastRRDBNet(module, device, DTYPES[precision])
    return FastSRVGGNet(module, device, DTYPES[precision])


def least_multiple(spec: ModelSpec) -> int:
    """What a network of upstream's needs its windows' sides to be multiples of."""
    return UNSHUFFLES[spec.scale] if isinstance(spec.architecture, RRDBShape) else 1


def _placed(module: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    # Channels last is what the fast convolutions of oneDNN and cuDNN read; NCHW costs 1.3 to 2 times as much.
    return module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


class FastRRDBNet:
    """Upstream's RRDBNet with 16-bit convolutions around a float32 trunk.

    The trunk is a sum of 69 residuals that should not be rounded after each. The first convolution is float32 as
    well: bf16 cannot hold 256 levels of a pixel, and rounding them costs 3 dB.
    """

    def __init__(self, module: nn.Module, device: str, dtype: torch.dtype) -> None:
        net: Any = module
        self._first: Any = _placed(deepcopy(net.conv_first), device, torch.float32)
        self._net: Any = _placed(net, device, dtype)
        self._unshuffle = UNSHUFFLES[net.scale]
        self._dtype = dtype

    def __call__(self, pixels: Tensor) -> Tensor:
        net = self._net
        first = self._first(_folded(pixels, self._unshuffle))
        trunk = first
        for block in net.body:
            trunk = self._block(block, trunk)
        features = (first + net.conv_body(trunk.to(self._dtype))).to(self._dtype)
        features = _leaky(net.conv_up1(_doubled(features)))
        features = _leaky(net.conv_up2(_doubled(features)))
        return as_cells(net.conv_last(_leaky(net.conv_hr(features))), net.scale)

    def _block(self, block: Any, trunk: Tensor) -> Tensor:
        inner = trunk
        for dense in (block.rdb1, block.rdb2, block.rdb3):
            residual = _dense(dense, inner.to(self._dtype))
            inner = torch.add(inner, residual, alpha=RESIDUAL_SCALE)
        return torch.add(trunk, inner, alpha=RESIDUAL_SCALE)


class FastSRVGGNet:
    """Upstream's SRVGGNetCompact with 16-bit convolutions between float32 ends, and no pixel shuffle.

    The last convolution's outputs are put into the order (row, column, colour), so that the shuffle is left to the
    reading order of the cells.
    """

    def __init__(self, module: nn.Module, device: str, dtype: torch.dtype) -> None:
        net: Any = module
        self._scale = int(net.upscale)
        order = torch.arange(3 * self._scale**2).view(3, -1).t().reshape(-1)
        net.body[-1].weight.data = net.body[-1].weight.data[order]
        net.body[-1].bias.data = net.body[-1].bias.data[order]
        self._first: Any = _placed(deepcopy(net.body[0]), device, torch.float32)
        self._rest: Any = _placed(net.body[1:], device, dtype)
        self._dtype = dtype

    def __call__(self, pixels: Tensor) -> Tensor:
        features = self._first(pixels).to(self._dtype)
        for layer in self._rest:
            features = layer(features)
        n, _, height, width = pixels.shape
        side = self._scale
        residual = features.permute(0, 2, 3, 1).reshape(n, height, width, side * side, 3).float()
        base = pixels.permute(0, 2, 3, 1).unsqueeze(3)
        cells: Tensor = residual.add_(base).view(n, height, width, side, side, 3)
        return cells.permute(0, 1, 3, 2, 4, 5)


def _dense(block: Any, features: Tensor) -> Tensor:
    """A dense block's residual, not yet scaled."""
    known = features
    for conv in (block.conv1, block.conv2, block.conv3, block.conv4):
        known = torch.cat((known, _leaky(conv(known))), 1)
    residual: Tensor = block.conv5(known)
    return residual


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu_(features, LEAKY_SLOPE)


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2, mode="nearest")


def _folded(pixels: Tensor, side: int) -> Tensor:
    """Squares of `side` x `side` pixels become the channels of one."""
    if side == 1:
        return pixels
    return functional.pixel_unshuffle(pixels, side).contiguous(memory_format=torch.channels_last)


def as_cells(picture: Tensor, side: int) -> Tensor:
    """(n, 3, side * height, side * width) -> cells, without moving anything when it is channels last."""
    n, _, height, width = picture.shape
    rows = picture.permute(0, 2, 3, 1).float().contiguous()
    return rows.view(n, height // side, side, width // side, side, 3)
