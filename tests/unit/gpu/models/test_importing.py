"""An operator's own weights: their architecture is found, or it is said what was found instead."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.errors import JobFailed
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.models.importing import Import, detect, import_weights
from pipeline.gpu.models.models_folder import Manifest, imported
from pipeline.gpu.models.parameters import to_safetensors
from pipeline.gpu.networks.upstream import RRDBNet, SRVGGNetCompact
from schemas.failures import FailureCode
from tests.support.published import saved

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def esrgan(scale: int = 4) -> Mapping[str, Tensor]:
    return RRDBNet(3, 3, scale=scale, num_feat=8, num_block=2, num_grow_ch=32).state_dict()


def brought(path: Path, folder: Path) -> Manifest:
    return import_weights(Import("mine", path, "CC0-1.0", "me"), folder, now=NOW)


def unsupported(tensors: Mapping[str, Tensor]) -> str:
    with pytest.raises(JobFailed) as failed:
        detect(tensors)
    assert failed.value.code is FailureCode.MODEL_UNSUPPORTED
    return failed.value.message


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_import_finds_the_architecture_and_the_model_is_known_afterwards(ending: str, tmp_path: Path) -> None:
    source, folder = tmp_path / f"mine{ending}", tmp_path / "models"
    source.write_bytes(saved({"params_ema": esrgan(2)}) if ending == ".pth" else to_safetensors(esrgan(2)))

    manifest = brought(source, folder)

    assert manifest.architecture.startswith("ESRGAN")
    assert manifest.detected is not None
    assert (manifest.detected.scale, manifest.licence, manifest.author) == (2, "CC0-1.0", "me")
    (spec,) = imported(folder)
    found = catalog.Catalogue((*catalog.MODELS, spec)).find("mine")
    loaded = weights.load(found, folder)
    assert loaded.sha256 == manifest.source_sha256
    assert {name: tuple(tensor.shape) for name, tensor in loaded.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in esrgan(2).items()
    }


@pytest.mark.weights
def test_model_of_the_install_can_be_imported_as_ones_own(tmp_path: Path) -> None:
    """Its numbers arrive as they were."""
    tensors = weights.load(catalog.find("realesrgan-x4plus"), tmp_path).tensors
    (tmp_path / "mine.safetensors").write_bytes(to_safetensors(tensors))

    manifest = brought(tmp_path / "mine.safetensors", tmp_path / "models")

    assert manifest.architecture == "ESRGAN 64nf 23nb"
    assert manifest.detected is not None
    assert manifest.detected.scale == 4
    (spec,) = imported(tmp_path / "models")
    found = weights.load(spec, tmp_path / "models").tensors
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_unknown_architecture_is_refused_with_what_was_found() -> None:
    told = unsupported({f"layer.{number}.weight": torch.zeros(2, 3) for number in range(9)})
    assert told == (
        "the file cannot be used: no architecture has its parameters: 9 tensors, such as layer.0.weight (2, 3), "
        "layer.1.weight (2, 3), layer.2.weight (2, 3)"
    )


def test_network_of_another_number_of_channels_is_refused() -> None:
    told = unsupported(SRVGGNetCompact(1, 1, num_feat=8, num_conv=2, upscale=2).state_dict())
    assert told.startswith("the file cannot be used: RealESRGAN Compact ")
    assert told.endswith("takes 1 channels and gives 1; must be 3 and 3")


def test_damaged_network_of_a_known_architecture_is_refused() -> None:
    """A layer is missing, or has the wrong shape."""
    tensors = dict(esrgan())
    tensors["body.1.rdb2.conv3.weight"] = torch.zeros(1, 1, 1, 1)
    assert "resemble a known architecture and do not fit it" in unsupported(tensors)


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".bin"])
def test_file_that_runs_code_is_refused_and_nothing_is_installed(ending: str, tmp_path: Path) -> None:
    touched, source = tmp_path / "touched", tmp_path / f"evil{ending}"
    source.write_bytes(f"cos\nsystem\n(S'touch {touched}'\ntR.".encode())
    with pytest.raises(ValueError, match=r"not a (file of tensors|safetensors file)"):
        brought(source, tmp_path / "models")
    assert not touched.exists()
    assert not (tmp_path / "models").exists()


def test_file_beyond_all_networks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.gpu.models.importing.MOST_BYTES", 1000)
    (tmp_path / "mine.pth").write_bytes(bytes(1001))
    with pytest.raises(ValueError, match="must be at most 1000 bytes"):
        brought(tmp_path / "mine.pth", tmp_path / "models")
