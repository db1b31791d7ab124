"""GFPGAN's modulated convolutions with one set of weights for all faces of a launch.

Upstream multiplies each convolution's weights by a face's style, so that a launch of eight faces convolves in eight
groups with weights that are made anew. Scaling what goes in, and what comes out, is the same sum with weights that stay
as they are (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 2.2).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.gpu.networks.upstream import GFPGANv1Clean, ModulatedConv2d


def with_shared_weights(module: GFPGANv1Clean) -> GFPGANv1Clean:
    """`module` itself, of which every modulated convolution is a `SharedConv` now, ready for channels last."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, ModulatedConv2d):
                setattr(parent, name, SharedConv(child))
    # Upstream reads the 4 x 4 map after this one as a row, in the order of channels first.
    module.final_conv.register_forward_hook(_channels_first)
    return module


class SharedConv(nn.Module):
    """Upstream's `ModulatedConv2d`: (n, channels, height, width) and (n, style) to (n, channels out, ...)."""

    def __init__(self, upstream: Any) -> None:
        super().__init__()
        self.modulation = upstream.modulation
        self.weight = nn.Parameter(upstream.weight[0], requires_grad=False)
        self.energy = nn.Parameter(self.weight.square().sum((2, 3)), requires_grad=False)
        """(channels out, channels): squares of the weights, summed over the window."""
        self._enlarges = upstream.sample_mode == "upsample"
        self._demodulates = upstream.demodulate
        self._eps = upstream.eps

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """As upstream's, but for the rounding."""
        scales = self.modulation(style).float()
        # At most 1 goes in, so that 16 bits do not overflow; what that took off is given back to what comes out.
        peak = scales.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        x = x * _per_channel(scales / peak, x)
        if self._enlarges:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        out = functional.conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        return out * _per_channel(peak * self._demodulation(scales), out)

    def _demodulation(self, scales: Tensor) -> Tensor | float:
        if not self._demodulates:
            return 1.0
        return torch.rsqrt((scales.square().unsqueeze(1) * self.energy).sum(dim=2) + self._eps)


def _per_channel(factors: Tensor, maps: Tensor) -> Tensor:
    return factors.to(maps.dtype)[:, :, None, None]


def _channels_first(module: nn.Module, inputs: object, result: Tensor) -> Tensor:
    del module, inputs
    return result.contiguous()
