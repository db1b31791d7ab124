"""LoadedModel: one network on one device, ready to launch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.gpu import catalog, weights
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.ncnn import DamagedModel
from pipeline.gpu.networks import Network, fast_network
from pipeline.gpu.specs import ModelSpec, Precision


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network whose parameters are on the device."""

    spec: ModelSpec
    weights_sha256: str
    """Of the file its parameters came from."""
    network: Network
    """In the profile's precision, or float32 where the model's answers are not good in that."""
    exact: Callable[[], Network]
    """The same in float32, built when first asked for."""


def load(name: str, profile: DeviceProfile, folder: Path) -> LoadedModel:
    """Find, verify and place a model. Blocks for about a second. Raises `JobFailed`."""
    spec = catalog.find(name)
    found = weights.load(spec, folder)

    @cache
    def build(precision: Precision) -> Network:
        return fast_network(spec, found.tensors, profile.device, precision)

    try:
        network = build(profile.precision if profile.precision in spec.precisions else "fp32")
    except DamagedModel as error:
        raise weights.unavailable(spec, error) from error
    return LoadedModel(spec, found.sha256, network, lambda: build("fp32"))
