"""Find a model's weights, verify their SHA-256, and load them without executing pickles.

In this order: the file upstream published, when the operator has put it into the models folder; what `upscale models`
converted or imported into it; what comes with the install. Nothing is downloaded here. Weights of the install are
converted at each load: it takes 0.2 s for the largest network, less than a twentieth of importing torch, and a cache
is one more thing that can be stale or damaged.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
import torch
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.models import models_folder, ncnn, onnx
from pipeline.gpu.models.carrier import carried_files, packaged_file
from pipeline.gpu.models.parameters import float32, from_pth, from_safetensors
from pipeline.gpu.models.specs import ModelSpec, PackagedOnnx, RRDBShape, SRVGGShape
from pipeline.gpu.models.standing import refuse_other_source
from schemas.failures import FailureCode

default_folder = models_folder.default_folder

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """One network's parameters on the CPU in upstream's names: fractions in float32, whole numbers as they are."""

    tensors: Mapping[str, Tensor]
    sha256: str
    """Of the file they came from; of the published or imported one when they were converted."""


class Absent(ValueError):
    """No weights of the model are here at all."""


def load(spec: ModelSpec, folder: Path) -> Weights:
    """The model's verified weights. Blocks for disk and hashing. Raises `JobFailed(MODEL_NOT_AVAILABLE)`.

    A file in `folder` that is not the published one is refused rather than passed over: somebody put it there to be
    used, and a quiet fallback would make other pictures than they expect.
    """
    try:
        return _published(spec, folder) or _converted(spec, folder) or _carried(spec)
    except (OSError, ValueError) as error:
        raise unavailable(spec, error) from error


def unavailable(spec: ModelSpec, error: Exception) -> JobFailed:
    """The failure a caller sees, with the cure; what is wrong with which file goes to the operator's log."""
    absent = isinstance(error, Absent)
    if not absent:
        log.error("weights_refused", model=spec.name, reason=str(error))
    wrong = "are not installed" if absent else "are damaged, or not the published ones,"
    return JobFailed(
        FailureCode.MODEL_NOT_AVAILABLE,
        f"model: the weights of {spec.name!r} {wrong} on this worker; `{cure(spec)}` installs them",
        {"field": "model", "value": spec.name, "cure": cure(spec)},
    )


def cure(spec: ModelSpec) -> str:
    """The command that installs the weights of `spec`."""
    return f"upscale models import {spec.name} FILE" if spec.official is None else f"upscale models pull {spec.name}"


def verified(path: Path, sha256: str) -> bytes:
    """The content of `path`. Raises `ValueError` when its digest is another, and `OSError`."""
    blob = path.read_bytes()
    found = hashlib.sha256(blob).hexdigest()
    if found != sha256:
        raise ValueError(f"{path}: sha256 must be {sha256}, got {found} ({len(blob)} bytes)")
    return blob


def _published(spec: ModelSpec, folder: Path) -> Weights | None:
    official = spec.official
    if official is None or not (folder / official.file).is_file():
        return None
    return Weights(float32(from_pth(verified(folder / official.file, official.sha256))), official.sha256)


def _converted(spec: ModelSpec, folder: Path) -> Weights | None:
    stem = models_folder.stem(spec)
    manifest = models_folder.read_manifest(folder, stem)
    if manifest is None:
        return None
    if spec.official is not None:
        refuse_other_source(manifest, spec.official)
    blob = verified(models_folder.weights_path(folder, stem), manifest.sha256)
    return Weights(float32(from_safetensors(blob)), manifest.source_sha256)


def _carried(spec: ModelSpec) -> Weights:
    if isinstance(spec.carried, PackagedOnnx):
        return _packaged(spec.carried)
    if spec.carried is None or not isinstance(spec.architecture, RRDBShape | SRVGGShape):
        raise Absent(f"{spec.name}: nothing comes with the install, and nothing is in the models folder")
    param, binary = carried_files(spec.carried)
    blob = verified(binary, spec.carried.sha256)
    arrays = ncnn.state_dict(param.read_text(encoding="ascii"), blob, spec.architecture)
    return Weights({name: torch.from_numpy(array) for name, array in arrays.items()}, spec.carried.sha256)


def _packaged(carried: PackagedOnnx) -> Weights:
    blob = verified(packaged_file(carried), carried.sha256)
    arrays = onnx.retinaface(blob.decode("ascii"))
    return Weights({name: torch.from_numpy(array) for name, array in arrays.items()}, carried.sha256)
