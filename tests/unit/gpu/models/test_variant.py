"""A model at a denoising strength, and its key."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.gpu.models.catalog import MODELS, find
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.variant import Variant
from schemas.failures import FailureCode

PLAIN = find("realesrgan-x4plus")
CHOOSING = replace(PLAIN, denoiser=PLAIN.official)


@given(st.sampled_from([PLAIN, *MODELS]), st.none() | st.floats(0, 1))
def test_variant_is_read_back_from_its_key(spec: ModelSpec, strength: float | None) -> None:
    """Whatever the strength; the key of the model's own parameters is its name."""
    variant = Variant.asked(replace(spec, denoiser=PLAIN.official), strength)

    assert Variant.read(str(variant)) == variant
    assert (str(variant) == spec.name) == (variant.denoise is None)


@pytest.mark.parametrize(("strength", "denoise"), [(None, None), (1.0, None), (0.999, None), (0.304, 0.3), (0.0, 0.0)])
def test_strengths_that_agree_in_two_decimals_are_one_variant(strength: float | None, denoise: float | None) -> None:
    """So callers share launches and memory; at full strength nothing is mixed in."""
    assert Variant.asked(CHOOSING, strength) == Variant(CHOOSING.name, denoise)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_strength_is_refused_for_a_model_without_the_choice(strength: float) -> None:
    """A caller who asks for what cannot be had is told the field, and gets no picture that ignores it."""
    with pytest.raises(JobFailed, match=r"^denoise_strength: .*'realesrgan-x4plus'.*got") as failed:
        Variant.asked(PLAIN, strength)

    assert failed.value.code is FailureCode.INVALID_OPTIONS
    assert failed.value.details["field"] == "options.denoise_strength"
