"""Which models there are, which one a caller means, and which of them this deployment serves.

Nothing here imports torch: the command line lists models on a machine that has none.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.errors import JobFailed
from pipeline.gpu.models.catalog_faces import FACE_MODELS, RESTORING_NEEDS
from pipeline.gpu.models.catalog_swinir import SWINIR
from pipeline.gpu.models.catalog_upscalers import UPSCALERS
from pipeline.gpu.models.specs import DetectedShape, FaceShape, ModelSpec, Purpose, RRDBShape, SRVGGShape
from pipeline.model_settings import ModelSettings
from pipeline.settings import InvalidSettings
from pipeline.variables import variable
from schemas.failures import FailureCode

MODELS: tuple[ModelSpec, ...] = (*UPSCALERS, *SWINIR, *FACE_MODELS)
"""All that are known without being imported."""
WITH_THE_INSTALL = tuple(spec for spec in MODELS if spec.carried is not None)
"""Those whose weights are there without being fetched."""
OPT_IN = variable("models", "opt_in")
_ENDINGS = (".pth", ".safetensors")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models of one deployment."""

    specs: tuple[ModelSpec, ...] = MODELS
    """The known ones, then those that the operator imported."""
    disabled: frozenset[str] = frozenset()
    """Names of those that the operator does not serve."""
    opted_in: frozenset[str] = frozenset(spec.name for spec in MODELS if spec.opt_in)
    """Names of those that are served only because the operator wants it."""

    def find(self, name: str, purpose: Purpose | None = None, *, field: str = "model") -> ModelSpec:
        """The model a caller means by `name`, in the request's `field`. Case and the usual spellings are forgiven.

        Raises `JobFailed`: MODEL_NOT_FOUND when there is none for that `purpose`, MODEL_NOT_AVAILABLE when the
        operator does not serve it.
        """
        spec = self.meant(name)
        if spec is None or purpose not in (None, spec.purpose):
            raise self._not_found(name, purpose, field)
        if (reason := self.withheld(spec)) is not None:
            raise JobFailed(
                FailureCode.MODEL_NOT_AVAILABLE,
                f"{field}: {spec.name!r} is not served by this deployment: {reason}",
                {"field": field, "value": spec.name},
            )
        return spec

    def meant(self, name: str) -> ModelSpec | None:
        """The model of that name, served or not; None when there is none."""
        return next((spec for spec in self.specs if folded(name) in map(folded, (spec.name, *spec.aliases))), None)

    def withheld(self, spec: ModelSpec) -> str | None:
        """Why the operator does not serve `spec`, or None when it is served."""
        if spec.name in self.disabled:
            return "its operator disabled it"
        if spec.opt_in and spec.name not in self.opted_in:
            return f"its licence is {spec.licence}; an operator who may use it names it in {OPT_IN}"
        return None

    def _not_found(self, name: str, purpose: Purpose | None, field: str) -> JobFailed:
        known = [spec for spec in self.specs if purpose in (None, spec.purpose)]
        near = get_close_matches(folded(name), [folded(spec.name) for spec in known], n=1)
        hint = next((f"; did you mean {spec.name!r}?" for spec in known if folded(spec.name) in near), "")
        names, shown = ", ".join(spec.name for spec in known if self.withheld(spec) is None), name[:100]
        return JobFailed(
            FailureCode.MODEL_NOT_FOUND,
            f"{field}: must be one of {names}, got {shown!r}{hint}",
            {"field": field, "known": names, "value": shown},
        )


def find(name: str) -> ModelSpec:
    """The known model that `name` means, whatever the operator serves. Raises `JobFailed(MODEL_NOT_FOUND)`."""
    return _ALL.find(name)


def catalogue(imported: Iterable[ModelSpec], settings: ModelSettings) -> Catalogue:
    """The models of a deployment with these settings. Raises `InvalidSettings` for a name that no model has.

    A misspelt name is an error: the model that was to be disabled would be served.
    """
    every = Catalogue((*MODELS, *imported))
    return Catalogue(
        every.specs,
        disabled=_names(every, "disabled", settings.disabled),
        opted_in=_names(every, "opt_in", settings.opt_in),
    )


def needed(spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """`spec` and the models without which it cannot do its work."""
    others = RESTORING_NEEDS if spec.purpose is Purpose.FACE_RESTORE else ()
    return (spec, *(find(name) for name in others))


def described(spec: ModelSpec) -> str:
    """The architecture of `spec` in a few words."""
    match spec.architecture:
        case RRDBShape(blocks=blocks):
            return f"RRDBNet, {blocks} blocks"
        case SRVGGShape(convs=convs):
            return f"SRVGGNetCompact, {convs} convolutions"
        case FaceShape(network=network):
            return network
        case DetectedShape():
            return "as spandrel finds it in the file"


def folded(name: str) -> str:
    """`vendor/Real_ESRGAN x4plus.pth:version` -> `realesrganx4plus`: names that fold alike are one name."""
    own = name.rpartition("/")[2].partition(":")[0].strip().lower()
    for ending in _ENDINGS:
        own = own.removesuffix(ending)
    return re.sub(r"[-_. ]+", "", own)


def _names(every: Catalogue, field: str, given: Sequence[str]) -> frozenset[str]:
    found = {name: every.meant(name) for name in given}
    if unknown := [name for name, spec in found.items() if spec is None]:
        raise InvalidSettings(
            f"{variable('models', field)}: no model is called {unknown[0]!r}; see `upscale models list`"
        )
    return frozenset(spec.name for spec in found.values() if spec is not None)


_ALL = Catalogue()
