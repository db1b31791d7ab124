"""Parameters mixed from two files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.errors import JobFailed
from pipeline.gpu.models import interpolate
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import ModelSpec, SRVGGShape
from schemas.failures import FailureCode
from tests.support import drawn

TINY = replace(drawn.GENERAL, architecture=SRVGGShape(convs=1))


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return drawn.with_denoiser(TINY, tmp_path)


def test_strength_is_the_share_of_the_models_own_parameters(spec: ModelSpec, tmp_path: Path) -> None:
    """Tensor by tensor; at 0 the denoiser's alone, without a strength the model's own alone."""
    own, mixed, other = (interpolate.load(spec, strength, tmp_path).tensors for strength in (None, 0.25, 0.0))

    assert set(mixed) == set(own)
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, own[name] * 0.25 + other[name] * 0.75)
    assert not torch.equal(own["body.0.weight"], other["body.0.weight"])


def test_mixture_is_known_by_both_files(spec: ModelSpec, tmp_path: Path) -> None:
    """Its digest is that of neither, is the same at every strength, and changes with either file."""
    own = interpolate.load(spec, None, tmp_path).sha256
    mixed = interpolate.load(spec, 0.25, tmp_path).sha256

    assert own == spec.official.sha256
    assert mixed == interpolate.load(spec, 0.5, tmp_path).sha256 == interpolate.together([own, spec.denoiser.sha256])
    assert mixed != interpolate.together([spec.denoiser.sha256, own])
    assert len(mixed) == 64


def test_digest_of_a_single_file_is_its_own() -> None:
    """A picture made by one network names that network's file."""
    assert interpolate.together(["ab" * 32]) == "ab" * 32


def test_missing_denoiser_is_not_available_and_the_model_alone_is(spec: ModelSpec, tmp_path: Path) -> None:
    """A mixture with a file that is not there is never quietly the unmixed network."""
    (tmp_path / spec.denoiser.file).unlink()

    with pytest.raises(JobFailed) as failed:
        interpolate.load(spec, 0.5, tmp_path)

    assert failed.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert interpolate.load(spec, None, tmp_path).sha256 == spec.official.sha256


def test_denoiser_of_another_network_is_refused(spec: ModelSpec, tmp_path: Path) -> None:
    """Tensors of other names or shapes are not mixed, nor broadcast."""
    other = drawn.installed(replace(TINY, name="deeper", architecture=SRVGGShape(convs=2)), tmp_path)

    with pytest.raises(JobFailed) as failed:
        interpolate.load(replace(spec, denoiser=other.official), 0.5, tmp_path)

    assert failed.value.code is FailureCode.MODEL_NOT_AVAILABLE
    with pytest.raises(DamagedModel, match="another network"):
        interpolate.mixed({"a": torch.ones(2, 1)}, {"a": torch.ones(1, 2)}, 0.5)
