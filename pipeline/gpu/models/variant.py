"""Variant: a network and the denoising strength it runs at; what a loaded model and a launch are keyed by."""

from dataclasses import dataclass
from typing import Self

from pipeline.errors import JobFailed
from pipeline.gpu.models.specs import ModelSpec
from schemas.failures import FailureCode

_MARK = "@denoise="


@dataclass(frozen=True, slots=True)
class Variant:
    """One set of parameters of a model. `str` gives its key, `read` takes it back."""

    name: str
    """The catalog's own name."""
    denoise: float | None = None
    """From 0, which keeps noise, to below 1, of two decimals; None for the model's own parameters."""

    def __str__(self) -> str:
        return self.name if self.denoise is None else f"{self.name}{_MARK}{self.denoise:.2f}"

    @classmethod
    def read(cls, key: str) -> Self:
        """The variant whose key this is; a plain name is the model's own parameters."""
        name, mark, strength = key.partition(_MARK)
        return cls(name, float(strength) if mark else None)

    @classmethod
    def asked(cls, spec: ModelSpec, strength: float | None) -> Self:
        """What a request asks for. Raises `JobFailed(INVALID_OPTIONS)` when the model has no such choice.

        Strengths that agree in two decimals are one variant, so that callers share launches and memory; 1 is what the
        model's own parameters do.
        """
        if strength is None:
            return cls(spec.name)
        if spec.denoiser is None:
            raise JobFailed(
                FailureCode.INVALID_OPTIONS,
                f"denoise_strength: must be left out for {spec.name!r}, which has no choice of it, got {strength}",
                {"field": "options.denoise_strength", "model": spec.name, "value": strength},
            )
        rounded = round(strength, 2)
        return cls(spec.name, None if rounded == 1 else rounded)
