"""Loading a model for a profile."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.errors import JobFailed
from pipeline.gpu import model
from pipeline.gpu.model import load, load_spec
from pipeline.gpu.models import catalog
from pipeline.gpu.models.interpolate import together
from pipeline.gpu.models.specs import SRVGGShape
from pipeline.gpu.models.variant import Variant
from schemas.failures import FailureCode
from tests.support import drawn
from tests.support.networks import cpu_profile


@pytest.mark.weights
def test_model_is_loaded_under_any_of_its_names(tmp_path: Path) -> None:
    """The model knows its own name and the digest of its file, whatever it was called."""
    model = load("RealESR_AnimeVideoV3", cpu_profile(), tmp_path)

    assert model.spec.name == "realesr-animevideov3"
    assert model.weights_sha256 == model.spec.carried.sha256


@pytest.mark.weights
def test_model_builds_its_exact_form_once_and_not_twice_for_float32(tmp_path: Path) -> None:
    """The float32 form waits until it is needed, and is the network itself when that is float32 already."""
    exact = load("animevideov3", cpu_profile(), tmp_path)
    low = load("animevideov3", replace(cpu_profile(), precision="bf16"), tmp_path)

    assert exact.exact() is exact.network
    assert low.exact() is low.exact()
    assert low.exact() is not low.network


def test_model_runs_in_the_best_precision_that_it_is_good_in(tmp_path: Path) -> None:
    """Where the device's own is not good for it, in float32, and its facts say so."""
    tiny = drawn.installed(replace(drawn.GENERAL, architecture=SRVGGShape(convs=1)), tmp_path)
    profile = replace(cpu_profile(), precision="bf16")

    good, exact_only = (
        load_spec(spec, None, profile, tmp_path) for spec in (tiny, replace(tiny, precisions=("fp32",)))
    )

    assert (good.facts.precision, exact_only.facts.precision) == ("bf16", "fp32")
    assert exact_only.exact() is exact_only.network
    assert good.exact() is not good.network


def test_model_is_charged_for_every_form_that_it_may_come_to_have(tmp_path: Path) -> None:
    """In 16 bits also the float32 form, and on a CPU the parameters that this would be built from."""
    tiny = drawn.installed(replace(drawn.GENERAL, architecture=SRVGGShape(convs=1)), tmp_path)
    count = sum(tensor.numel() for tensor in drawn.drawn(tiny).values())

    exact = load_spec(tiny, None, cpu_profile(), tmp_path)
    low = load_spec(tiny, None, replace(cpu_profile(), precision="bf16"), tmp_path)

    assert (exact.bytes, low.bytes) == (4 * count, (2 + 4 + 4) * count)


def test_model_at_a_strength_is_loaded_by_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key names model and strength; the weights are known by both files."""
    spec = drawn.with_denoiser(replace(drawn.GENERAL, architecture=SRVGGShape(convs=1)), tmp_path)
    monkeypatch.setattr(model, "MODELS", (spec,))

    mixed = load(str(Variant.asked(spec, 0.3)), cpu_profile(), tmp_path)
    own = load(str(Variant.asked(spec, None)), cpu_profile(), tmp_path)

    assert own.weights_sha256 == spec.official.sha256
    assert mixed.weights_sha256 == together([spec.official.sha256, spec.denoiser.sha256])
    with torch.inference_mode():
        pixels = torch.rand(1, 3, 4, 4)
        assert not torch.allclose(mixed.network(pixels), own.network(pixels))


def test_model_with_parameters_of_another_network_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file with the right digest and the wrong network ends as a failure that a caller can read."""
    spec = catalog.find("animevideov3")
    path = tmp_path / spec.official.file
    torch.save({"params": {"other": torch.zeros(1)}}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned = replace(spec, official=replace(spec.official, sha256=digest))
    monkeypatch.setattr(model, "MODELS", (pinned,))

    with pytest.raises(JobFailed) as caught:
        load("animevideov3", cpu_profile(), tmp_path)

    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert "other" not in caught.value.message
