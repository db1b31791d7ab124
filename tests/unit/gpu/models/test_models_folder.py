"""The models folder holds weights whole or not at all, and tells what was imported."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from pipeline.errors import JobFailed
from pipeline.gpu.models import models_folder, weights
from pipeline.gpu.models.catalog import find
from pipeline.gpu.models.convert import convert
from pipeline.gpu.models.models_folder import Detected, Manifest, imported, install, read_manifest, remove
from pipeline.gpu.models.specs import DetectedShape, ModelSpec
from pipeline.gpu.models.standing import Place, faults, has_all, standing
from schemas.failures import FailureCode
from tests.support.published import numbers, pinned, publishing, weights_file

BLOB = weights_file()
SPEC = publishing(BLOB)
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_manifest(model: str = "mine", **changes: object) -> Manifest:
    facts = {
        "model": model, "sha256": "0" * 64, "size": 4, "source_sha256": "1" * 64, "source_size": 5,
        "origin": "imported from mine.pth", "licence": "CC0-1.0", "architecture": "ESRGAN", "installed": "2026-01-31",
        "detected": Detected(architecture="ESRGAN 64nf", scale=2, multiple=4, precisions=("fp32", "bf16")),
    }  # fmt: skip
    return Manifest.model_validate(facts | changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the converted weights of `SPEC` in it."""
    source = tmp_path / "tiny.pth"
    source.write_bytes(BLOB)
    convert(SPEC, SPEC.official, source, tmp_path / "models", now=NOW)
    return tmp_path / "models"


def refused(spec: ModelSpec, folder: Path) -> str:
    """Why, for the operator."""
    with pytest.raises(JobFailed) as failed:
        weights.load(spec, folder)
    assert failed.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert "`upscale models pull tiny` installs them" in failed.value.message
    assert str(folder) not in failed.value.message
    return str(failed.value.__cause__)


def test_installed_weights_are_well(folder: Path) -> None:
    assert standing(SPEC, folder).place is Place.FOLDER
    assert standing(SPEC, folder).size == (folder / "tiny.safetensors").stat().st_size
    assert has_all(SPEC, folder)
    assert faults(SPEC, folder) == []
    assert weights.load(SPEC, folder).sha256 == SPEC.official.sha256


def test_install_leaves_nothing_beside_what_it_installs(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"tiny.json", "tiny.safetensors"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_weights_are_refused_and_found_by_verify(folder: Path, damage: str) -> None:
    """Never passed over for what comes with the install, and never loaded."""
    path = folder / "tiny.safetensors"
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[:-1])
        case "changed":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "gone":
            path.unlink()
    assert str(path) in refused(SPEC, folder)
    (fault,) = faults(SPEC, folder)
    assert str(path) in fault


def test_weights_of_another_published_file_are_refused(folder: Path) -> None:
    """What was converted from an older release is not passed off as the newer one."""
    newer = publishing(weights_file(seed=1))
    assert f"tiny: must be converted from a file of sha256 {newer.official.sha256}" in refused(newer, folder)
    assert faults(newer, folder) != []


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"version": 2}', "x" * 100_000])
def test_damaged_manifest_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "tiny.json").write_text(text)
    assert f"{folder / 'tiny.json'}: is not a manifest of weights" in refused(SPEC, folder)
    assert "is not a manifest of weights" in faults(SPEC, folder)[0]
    assert imported(folder) == ()


def test_weights_without_a_manifest_do_not_count(folder: Path) -> None:
    """As a crash between the two leaves them."""
    (folder / "tiny.json").unlink()
    assert standing(SPEC, folder).place is Place.ABSENT
    assert "nothing is in the models folder" in refused(SPEC, folder)


def test_install_that_fails_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk gives out on the second of two files."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    real, calls = os.fsync, []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left"):
        install(folder, "tiny", b"other", a_manifest("tiny"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_remove_takes_everything_of_a_model_and_nothing_else(folder: Path) -> None:
    install(folder, "mine", b"mine", a_manifest())
    (folder / "tiny.pth").write_bytes(BLOB)
    assert [path.name for path in remove(folder, "tiny")] == ["tiny.json", "tiny.safetensors", "tiny.pth"]
    assert {path.name for path in folder.iterdir()} == {"mine.json", "mine.safetensors"}
    assert remove(folder, "tiny") == ()


def test_model_of_two_files_is_there_when_both_are(tmp_path: Path) -> None:
    """That of the denoiser is its own, and may be loaded as one."""
    other = weights_file(seed=1)
    spec = replace(SPEC, denoiser=pinned(other, "tiny-wdn.pth"))
    (tmp_path / "tiny.pth").write_bytes(BLOB)
    assert not has_all(spec, tmp_path)
    (tmp_path / "tiny-wdn.pth").write_bytes(other)
    assert has_all(spec, tmp_path)
    assert faults(spec, tmp_path) == []
    (tmp_path / "tiny-wdn.pth").write_bytes(BLOB)
    assert faults(spec, tmp_path)[0].startswith(f"{tmp_path / 'tiny-wdn.pth'}: sha256 must be ")

    convert(spec, spec.denoiser, _written(tmp_path / "source", other), tmp_path / "models", now=NOW)
    denoiser = weights.load(replace(spec, official=spec.denoiser), tmp_path / "models")
    assert torch.equal(denoiser.tensors["body.0.weight"], numbers(seed=1)["body.0.weight"])


@pytest.mark.weights
def test_weights_of_the_install_are_well_and_stand_where_they_are(tmp_path: Path) -> None:
    spec = find("realesr-animevideov3")
    assert standing(spec, tmp_path).place is Place.INSTALL
    assert standing(spec, tmp_path).size == 1_247_368
    assert faults(spec, tmp_path) == []
    wrong = replace(spec, carried=replace(spec.carried, sha256="0" * 64))
    assert "sha256 must be 000" in faults(wrong, tmp_path)[0]


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_imported_models_are_told_by_their_manifests(folder: Path) -> None:
    """Published ones are in the catalogue already, and a manifest under another's name is nobody's."""
    install(folder, "mine", b"mine", a_manifest())
    install(folder, "renamed", b"mine", a_manifest())
    (folder / "damaged.json").write_text("{")
    (spec,) = imported(folder)
    assert (spec.name, spec.scale, spec.multiple, spec.precisions) == ("mine", 2, 4, ("fp32", "bf16"))
    assert (spec.licence, spec.architecture, spec.official) == ("CC0-1.0", DetectedShape(), None)
    assert "ESRGAN 64nf" in spec.good_at


def test_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert imported(tmp_path / "nowhere") == ()
    assert read_manifest(tmp_path / "nowhere", "tiny") is None
    assert standing(SPEC, tmp_path / "nowhere").place is Place.ABSENT


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "", "a" * 65, "Ä"])
def test_manifest_cannot_name_a_way_out_of_the_folder(name: str) -> None:
    with pytest.raises(ValueError, match="model"):
        a_manifest(name)


def test_folder_of_the_home_is_the_default() -> None:
    assert models_folder.default_folder().parts[-3:] == (".cache", "upscale", "models")
