"""The only door to spandrel: networks whose architecture is found out from their parameters, behind our one seam.

What the parameters say is never taken at its word: a network is tried on small pictures before it counts as loaded, so
that one that cannot run ends as that model's failure and not, in its first launch, as that of a job.
"""

import math
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock

import torch
from spandrel import ImageModelDescriptor, ModelLoader
from torch import Tensor, nn

from pipeline.gpu.models.specs import ModelSpec, Precision
from pipeline.gpu.networks.dtypes import DTYPES
from pipeline.gpu.networks.shared_masks import share_masks
from pipeline.gpu.networks.unsupported import UnsupportedNetwork
from pipeline.gpu.networks.upscalers import Network, as_cells
from pipeline.gpu.shrink import is_out_of_memory

with warnings.catch_warnings():
    # torch says once in a process that some networks call meshgrid in the old way. Said here, at import: the warning
    # filters belong to the process, and networks are built while others compute.
    warnings.simplefilter("ignore")
    torch.meshgrid(torch.zeros(1), torch.zeros(1))

CHANNELS = 3
STATELESS = ("ESRGAN", "Compact", "SwinIR")
"""Architectures whose code was read: several threads may be in such a network at once. Any other is used by one."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectedNetwork:
    """A network on a device, not yet in a precision."""

    descriptor: ImageModelDescriptor[nn.Module]
    device: str
    turn: AbstractContextManager[object]
    """Held by the thread that computes."""

    def precision(self, wanted: Precision) -> Precision:
        """`wanted`, or float32 where the network is not good in it.

        float16 counts as not good in any: spandrel clamps, so that what overflowed comes out as white, unseen.
        """
        return "bf16" if wanted == "bf16" and self.descriptor.supports_bfloat16 else "fp32"

    def at(self, precision: Precision) -> Network:
        """The network in this arithmetic; all share the parameters, which stay float32.

        Autocast and not 16-bit parameters: it keeps norms and softmax in float32, and networks that build a mask as
        they run, as SwinIR does, fail when that is float32 and the rest is not.
        """

        def network(pixels: Tensor) -> Tensor:
            with self.turn, torch.autocast(self.device, DTYPES[precision], enabled=precision != "fp32"):
                # Its own way of being called: some networks answer in another range or want a map of the noise.
                picture = self.descriptor(pixels.contiguous())
            return as_cells(picture, self.descriptor.scale)

        return network


def detected_network(spec: ModelSpec, tensors: Mapping[str, Tensor], device: str) -> DetectedNetwork:
    """The network these parameters are of, tried in float32. Raises what `try_out` raises."""
    descriptor = _described(tensors)
    _check(spec, descriptor)
    descriptor.to(torch.device(device)).eval().model.requires_grad_(requires_grad=False)
    if descriptor.architecture.id == "SwinIR":
        share_masks(descriptor.model, device)
    network = DetectedNetwork(descriptor, device, _turn(descriptor.architecture.id))
    try_out(spec, network, "fp32", (1, 1))
    return network


def _turn(architecture: str) -> AbstractContextManager[object]:
    return nullcontext() if architecture in STATELESS else Lock()


def _described(tensors: Mapping[str, Tensor]) -> ImageModelDescriptor[nn.Module]:
    try:
        # Detection renames keys in place.
        descriptor = ModelLoader().load_from_state_dict(dict(tensors))
    except Exception as error:
        if _of_device(error):
            raise
        raise UnsupportedNetwork(f"no architecture fits its parameters: {type(error).__name__}") from error
    if not isinstance(descriptor, ImageModelDescriptor):
        raise UnsupportedNetwork(f"{descriptor.architecture.name} takes more than a picture")
    return descriptor


def _check(spec: ModelSpec, descriptor: ImageModelDescriptor[nn.Module]) -> None:
    kind = descriptor.architecture.name
    channels = (descriptor.input_channels, descriptor.output_channels)
    if channels != (CHANNELS, CHANNELS):
        raise UnsupportedNetwork(
            f"{kind} network with {channels[0]} channels in and {channels[1]} out: both must be {CHANNELS} (RGB)"
        )
    if descriptor.scale != spec.scale:
        raise UnsupportedNetwork(f"{kind} network of scale {descriptor.scale}: must be {spec.scale} as its entry says")


def try_out(spec: ModelSpec, network: DetectedNetwork, precision: Precision, size: tuple[int, int]) -> None:
    """Compute a picture of this height and width, each rounded up to what the network takes.

    Raises `UnsupportedNetwork` when that fails or gives another shape, and errors of the device as they come.
    """
    needs, kind = network.descriptor.size_requirements, network.descriptor.architecture.name
    multiple = math.lcm(max(needs.multiple_of, 1), spec.multiple)
    height, width = (multiple * math.ceil(max(side, needs.minimum, 1) / multiple) for side in size)
    pixels = torch.full((1, CHANNELS, height, width), 0.5, device=network.device)
    try:
        with torch.inference_mode():
            found = tuple(network.at(precision)(pixels).shape)
    except Exception as error:
        if _of_device(error):
            raise
        raise UnsupportedNetwork(f"{kind} network cannot be run: {error}") from error
    expected = (1, height, spec.scale, width, spec.scale, CHANNELS)
    if found != expected:
        raise UnsupportedNetwork(f"{kind} network answers in {found}, not {expected}")


def _of_device(error: Exception) -> bool:
    """Whether it says nothing about the network: the memory is short, or the device has failed."""
    return isinstance(error, torch.AcceleratorError) or is_out_of_memory(error)
