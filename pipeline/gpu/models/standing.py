"""Where the weights of a model are, and whether they are the right ones: told by files and digests, without torch."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.gpu.models import models_folder
from pipeline.gpu.models.carrier import binary_file
from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights


class Place(StrEnum):
    """Where weights are."""

    FOLDER = "folder"  # in the models folder: pulled, imported or put there
    INSTALL = "install"  # in a package that came with the install
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Standing:
    """The weights of one model that would be loaded."""

    place: Place
    files: tuple[Path, ...] = ()
    size: int = 0
    """Bytes of the files."""


def standing(spec: ModelSpec, folder: Path) -> Standing:
    """Where `weights.load` would find them, unless what is there is damaged. Raises `OSError`."""
    official = spec.official
    if official is not None and (folder / official.file).is_file():
        return _found(Place.FOLDER, folder / official.file)
    stem = models_folder.stem(spec)
    if models_folder.manifest_path(folder, stem).is_file():
        return _found(Place.FOLDER, models_folder.weights_path(folder, stem))
    if spec.carried is not None:
        try:
            return _found(Place.INSTALL, binary_file(spec.carried))
        except ValueError:
            return Standing(Place.ABSENT)
    return Standing(Place.ABSENT)


def published(spec: ModelSpec) -> tuple[OfficialWeights, ...]:
    """The files of `spec` that upstream published: its own, and that of its denoiser."""
    return tuple(each for each in (spec.official, spec.denoiser) if each is not None)


def has_all(spec: ModelSpec, folder: Path) -> bool:
    """Whether every published file of `spec` lies in `folder`, as it came or converted."""
    return all(
        (folder / each.file).is_file()
        or models_folder.manifest_path(folder, models_folder.published_stem(each)).is_file()
        for each in published(spec)
    )


def faults(spec: ModelSpec, folder: Path) -> list[str]:
    """What is wrong with the weights of `spec` that are here: a sentence for each file. Reads them whole."""
    if spec.official is None:
        return _faults_of_converted(folder, spec.name, None)
    found = [fault for each in published(spec) for fault in _faults_of_published(folder, each)]
    if spec.carried is not None and standing(spec, folder).place is Place.INSTALL:
        found += _wrong_digest(binary_file(spec.carried), spec.carried.sha256)
    return found


def refuse_other_source(manifest: Manifest, official: OfficialWeights) -> None:
    """Raises `ValueError` when `manifest` is of another published file than the one of the catalogue."""
    if manifest.source_sha256 != official.sha256:
        raise ValueError(
            f"{manifest.model}: must be converted from a file of sha256 {official.sha256}, got {manifest.source_sha256}"
        )


def _found(place: Place, *paths: Path) -> Standing:
    return Standing(place, paths, sum(path.stat().st_size for path in paths if path.is_file()))


def _faults_of_published(folder: Path, official: OfficialWeights) -> list[str]:
    as_it_came = folder / official.file
    if as_it_came.is_file():
        return _wrong_digest(as_it_came, official.sha256)
    return _faults_of_converted(folder, models_folder.published_stem(official), official)


def _faults_of_converted(folder: Path, stem: str, official: OfficialWeights | None) -> list[str]:
    try:
        manifest = models_folder.read_manifest(folder, stem)
        if manifest is None:
            return []
        if official is not None:
            refuse_other_source(manifest, official)
        return _wrong_digest(models_folder.weights_path(folder, stem), manifest.sha256)
    except (OSError, ValueError) as error:
        return [str(error)]


def _wrong_digest(path: Path, sha256: str) -> list[str]:
    try:
        found = digest(path)
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}"]
    return [] if found == sha256 else [f"{path}: sha256 must be {sha256}, got {found}"]


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
