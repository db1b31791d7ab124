"""Loading a model for a profile."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.errors import JobFailed
from pipeline.gpu import catalog
from pipeline.gpu.model import load
from schemas.failures import FailureCode
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


def test_model_with_parameters_of_another_network_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file with the right digest and the wrong network ends as a failure that a caller can read."""
    spec = catalog.find("animevideov3")
    path = tmp_path / spec.official.file
    torch.save({"params": {"other": torch.zeros(1)}}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    pinned = replace(spec, official=replace(spec.official, sha256=digest))
    monkeypatch.setattr(catalog, "find", lambda _: pinned)

    with pytest.raises(JobFailed) as caught:
        load("animevideov3", cpu_profile(), tmp_path)

    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert "other" not in caught.value.message
