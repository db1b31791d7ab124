"""Which models there are, and which one a caller means."""

import re

from pipeline.errors import JobFailed
from pipeline.gpu.catalog_upscalers import UPSCALERS
from pipeline.gpu.specs import ModelSpec
from schemas.failures import FailureCode

MODELS: tuple[ModelSpec, ...] = UPSCALERS


def find(name: str) -> ModelSpec:
    """The model a caller means. Raises `JobFailed(MODEL_NOT_FOUND)`."""
    spec = _BY_NAME.get(_folded(name))
    if spec is None:
        known = ", ".join(spec.name for spec in MODELS)
        shown = name[:100]
        raise JobFailed(
            FailureCode.MODEL_NOT_FOUND,
            f"model: must be one of {known}, got {shown!r}",
            {"field": "model", "known": known, "value": shown},
        )
    return spec


def _folded(name: str) -> str:
    """`vendor/Real_ESRGAN x4plus.pth:version` -> `realesrganx4plus`."""
    own = name.rpartition("/")[2].partition(":")[0].strip().lower().removesuffix(".pth")
    return re.sub(r"[-_. ]+", "", own)


_BY_NAME = {_folded(name): spec for spec in MODELS for name in (spec.name, *spec.aliases)}
