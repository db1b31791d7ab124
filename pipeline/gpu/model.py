"""LoadedModel: one network on one device, ready to launch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.models import interpolate, models_folder, weights
from pipeline.gpu.models.catalog import MODELS, Catalogue
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import DetectedShape, ModelSpec, Precision
from pipeline.gpu.models.variant import Variant
from pipeline.gpu.networks.detected import detected_network, try_out
from pipeline.gpu.networks.dtypes import DTYPES
from pipeline.gpu.networks.unsupported import UnsupportedNetwork
from pipeline.gpu.networks.upscalers import Network, fast_network
from schemas.failures import FailureCode


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a result tells of the network that made it. Jobs keep these and never the network, so that it can leave."""

    spec: ModelSpec
    weights_sha256: str
    """Of the file its parameters came from, or of several files together."""
    precision: Precision
    """Arithmetic of its convolutions."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network whose parameters are on the device."""

    spec: ModelSpec
    weights_sha256: str
    """Of the file its parameters came from, or of several files together."""
    network: Network
    """In `precision`."""
    exact: Callable[[], Network]
    """The same in float32, built when first asked for."""
    precision: Precision = "fp32"
    """The profile's, or the next wider one in which this network is good."""
    bytes: int = 0
    """Memory of its parameters in all forms that it may come to have, where they lie."""

    @property
    def facts(self) -> ModelFacts:
        """What outlives it."""
        return ModelFacts(self.spec, self.weights_sha256, self.precision)


def load(key: str, profile: DeviceProfile, folder: Path) -> LoadedModel:
    """Find, verify and place the variant of a key, or a model by any of its names. Blocks for about a second.

    Raises `JobFailed`, and out-of-memory errors as they come.
    """
    variant = Variant.read(key)
    models = Catalogue((*MODELS, *models_folder.imported(folder)))
    return load_spec(models.find(variant.name), variant.denoise, profile, folder)


def load_spec(spec: ModelSpec, denoise: float | None, profile: DeviceProfile, folder: Path) -> LoadedModel:
    """As `load`, of a model that need not be in the catalog."""
    found = interpolate.load(spec, denoise, folder)
    try:
        place = _detected if isinstance(spec.architecture, DetectedShape) else _known
        return place(spec, found, profile)
    except DamagedModel as error:
        raise weights.unavailable(spec, error) from error
    except UnsupportedNetwork as error:
        raise JobFailed(
            FailureCode.MODEL_UNSUPPORTED,
            f"model: {spec.name!r} cannot be run by this worker: {error}",
            {"field": "model", "value": spec.name},
        ) from error


def _known(spec: ModelSpec, found: weights.Weights, profile: DeviceProfile) -> LoadedModel:
    """A network of upstream's in our fast form."""
    tensors, device = found.tensors, profile.device
    precision = profile.precision_for(spec.precisions)
    network = fast_network(spec, tensors, device, precision)

    if precision == "fp32":
        return LoadedModel(spec, found.sha256, network, lambda: network, precision, _bytes(tensors, "fp32"))

    @cache
    def exact() -> Network:
        return fast_network(spec, tensors, device, "fp32")

    # The parameters as they were read stay in the machine's memory, for the exact form.
    forms: tuple[Precision, ...] = (precision, "fp32", "fp32") if device == "cpu" else (precision, "fp32")
    return LoadedModel(spec, found.sha256, network, exact, precision, sum(_bytes(tensors, form) for form in forms))


def _detected(spec: ModelSpec, found: weights.Weights, profile: DeviceProfile) -> LoadedModel:
    """Another network, of which all forms share their parameters."""
    network = detected_network(spec, found.tensors, profile.device)
    precision = network.precision(profile.precision_for(spec.precisions))
    # Some raise only in 16 bits, or at another size than they were trained on.
    try_out(spec, network, precision, (profile.sides[0], profile.sides[:2][-1]))
    exact = network.at("fp32")
    fast = exact if precision == "fp32" else network.at(precision)
    return LoadedModel(spec, found.sha256, fast, lambda: exact, precision, _bytes(found.tensors, "fp32"))


def _bytes(tensors: Mapping[str, Tensor], precision: Precision) -> int:
    return sum(tensor.numel() for tensor in tensors.values()) * DTYPES[precision].itemsize
