"""Which models there are, and which one a caller means."""

import re

from pipeline.errors import JobFailed
from pipeline.gpu.catalog_faces import FACE_MODELS
from pipeline.gpu.catalog_upscalers import UPSCALERS
from pipeline.gpu.specs import ModelSpec, Purpose
from schemas.failures import FailureCode

MODELS: tuple[ModelSpec, ...] = (*UPSCALERS, *FACE_MODELS)


def find(name: str, purpose: Purpose | None = None, *, field: str = "model") -> ModelSpec:
    """The model a caller means, of this purpose where one is named. Raises `JobFailed(MODEL_NOT_FOUND)` for `field`."""
    spec = _BY_NAME.get(_folded(name))
    if spec is None or purpose not in (None, spec.purpose):
        known = ", ".join(spec.name for spec in MODELS if purpose in (None, spec.purpose))
        shown = name[:100]
        raise JobFailed(
            FailureCode.MODEL_NOT_FOUND,
            f"{field}: must be one of {known}, got {shown!r}",
            {"field": field, "known": known, "value": shown},
        )
    return spec


def _folded(name: str) -> str:
    """`vendor/Real_ESRGAN x4plus.pth:version` -> `realesrganx4plus`."""
    own = name.rpartition("/")[2].partition(":")[0].strip().lower().removesuffix(".pth")
    return re.sub(r"[-_. ]+", "", own)


_BY_NAME = {_folded(name): spec for spec in MODELS for name in (spec.name, *spec.aliases)}
