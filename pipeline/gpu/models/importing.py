"""An operator's own file of weights -> the models folder, its architecture found by spandrel.

Only `upscale models import` comes here. spandrel reads the names and shapes of the parameters; the file itself is read
by `parameters`, which runs none of it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import spandrel
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.models import models_folder
from pipeline.gpu.models.models_folder import Detected, Manifest
from pipeline.gpu.models.parameters import from_pth, from_safetensors, to_safetensors
from pipeline.gpu.models.specs import Precision
from schemas.failures import FailureCode

MOST_BYTES: int = 4 * 2**30
"""Of a file: the largest network for pictures that we know of has a twentieth."""
SHOWN_NAMES = 3
COLOURS = 3


@dataclass(frozen=True, slots=True)
class Import:
    """What an operator says of a file."""

    name: str
    """Under which it is to be known."""
    source: Path
    licence: str
    author: str


def import_weights(wanted: Import, folder: Path, *, now: datetime) -> Manifest:
    """Install the operator's file. Blocks. `wanted.name` is free and fit for a file's name.

    Raises `JobFailed(MODEL_UNSUPPORTED)` for a network that is not known or does something else than enlarge pictures,
    `ValueError` for a file that holds no parameters or more than tensors, and `OSError`. Nothing is changed then.
    """
    content = _read(wanted.source)
    given = from_safetensors(content) if wanted.source.suffix.lower() == ".safetensors" else from_pth(content)
    tensors: dict[str, Tensor] = spandrel.canonicalize_state_dict(dict(given))
    detected = detect(tensors)
    blob = to_safetensors(tensors)
    manifest = Manifest(
        model=wanted.name,
        sha256=hashlib.sha256(blob).hexdigest(),
        size=len(blob),
        source_sha256=hashlib.sha256(content).hexdigest(),
        source_size=len(content),
        origin=f"imported from {wanted.source.name}"[:500],
        licence=wanted.licence,
        author=wanted.author,
        architecture=detected.architecture,
        installed=now.isoformat(timespec="seconds"),
        detected=detected,
    )
    models_folder.install(folder, wanted.name, blob, manifest)
    return manifest


def detect(tensors: Mapping[str, Tensor]) -> Detected:
    """What network these are the parameters of. Raises `JobFailed(MODEL_UNSUPPORTED)`."""
    network = _network(tensors)
    words = " ".join([str(network.architecture.name), *map(str, network.tags)])[:500]
    _refuse_unless_upscaler(network, words)
    requirements = network.size_requirements
    return Detected(
        architecture=words,
        scale=network.scale,
        multiple=requirements.multiple_of,
        precisions=_precisions(half=network.supports_half, bfloat16=network.supports_bfloat16),
    )


def _network(tensors: Mapping[str, Tensor]) -> Any:
    try:
        return spandrel.ModelLoader("cpu").load_from_state_dict(dict(tensors))
    except spandrel.UnsupportedModelError:
        raise _unsupported(f"no architecture has its parameters: {_described(tensors)}") from None
    except Exception as error:
        # Each architecture infers its layout in its own way, and fails in its own way at what merely resembles it.
        raise _unsupported(
            f"its parameters resemble a known architecture and do not fit it: {_described(tensors)}"
        ) from error


def _refuse_unless_upscaler(network: Any, words: str) -> None:
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.purpose == "FaceSR":
        raise _unsupported(f"{words} does not enlarge pictures, it is for {network.purpose}")
    if (network.input_channels, network.output_channels) != (COLOURS, COLOURS):
        raise _unsupported(
            f"{words} takes {network.input_channels} channels and gives {network.output_channels}; "
            f"must be {COLOURS} and {COLOURS}"
        )
    if network.size_requirements.square:
        raise _unsupported(f"{words} takes square pictures only")


def _precisions(*, half: bool, bfloat16: bool) -> tuple[Precision, ...]:
    return ("fp32", *(("bf16",) if bfloat16 else ()), *(("fp16",) if half else ()))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"must be at most {MOST_BYTES} bytes")
    return content


def _described(tensors: Mapping[str, Tensor]) -> str:
    names = [f"{name[:60]} {tuple(tensor.shape)}" for name, tensor in list(tensors.items())[:SHOWN_NAMES]]
    return f"{len(tensors)} tensors, such as {', '.join(names)}"


def _unsupported(found: str) -> JobFailed:
    return JobFailed(FailureCode.MODEL_UNSUPPORTED, f"the file cannot be used: {found}", {"found": found})
