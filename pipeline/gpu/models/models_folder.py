"""The models folder: which weights lie in it, under which manifests, and how they come and go whole.

A model has two files there, `STEM.safetensors` and `STEM.json`; the stem is that of the file upstream published, or
the name under which an operator imported it. The manifest is written last and removed first, so weights count only
when all of them are there. Whoever may write the folder is trusted: digests tell damage and mix-ups.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.gpu.models.specs import DetectedShape, ModelSpec, OfficialWeights, Precision

NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
"""What an imported model may be called; so no name leads out of the folder."""
MOST_MANIFEST_BYTES = 64 * 1024
IMPORTED_PAD = 32
"""Context around a tile, in source pixels: what a network needs cannot be read from its file, and 32 is enough for the
deepest of those we know."""
SHA256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MOST_OF_A_LINE = 500
"""Characters of what a manifest says in words."""
Line = Annotated[str, Field(max_length=MOST_OF_A_LINE)]

log = structlog.get_logger()


class Detected(BaseModel):
    """What was found in a file that an operator imported."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    architecture: Line
    """As spandrel calls it, with its variant: `ESRGAN 64nf 23nb`."""
    scale: Annotated[int, Field(ge=1, le=16)]
    """Output side divided by input side."""
    multiple: Annotated[int, Field(ge=1, le=256)] = 1
    """Sides of a window must be multiples of this."""
    precisions: tuple[Precision, ...] = ("fp32",)
    """Those in which its answers stay good."""


class Manifest(BaseModel):
    """What is known of a file of weights in the folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: Literal[1] = 1
    model: Annotated[str, Field(pattern=f"^{NAME}$")]
    """The model's own name."""
    sha256: SHA256
    """Of the safetensors file beside this one."""
    size: Annotated[int, Field(ge=0)]
    """Bytes of it."""
    source_sha256: SHA256
    """Of the file it was converted from."""
    source_size: Annotated[int, Field(ge=0)]
    """Bytes of that file."""
    origin: Line
    """Where that file came from."""
    licence: Line
    """Under which the weights may be used."""
    author: Line = "unknown"
    """Who made them."""
    architecture: Line
    """For people; what computes is `detected`, or the catalogue."""
    installed: Line
    """When, in UTC."""
    detected: Detected | None = None
    """None unless an operator imported it."""


def default_folder() -> Path:
    """Where weights are found when the setting names no folder."""
    return Path.home() / ".cache" / "upscale" / "models"


def stem(spec: ModelSpec) -> str:
    """What the files of `spec` are called, without their endings."""
    return spec.name if spec.official is None else published_stem(spec.official)


def published_stem(published: OfficialWeights) -> str:
    """The same for one published file."""
    return published.file.removesuffix(".pth")


def weights_path(folder: Path, stem: str) -> Path:
    """Where the weights of that stem lie."""
    return folder / f"{stem}.safetensors"


def manifest_path(folder: Path, stem: str) -> Path:
    """Where what is known of them lies."""
    return folder / f"{stem}.json"


def read_manifest(folder: Path, stem: str) -> Manifest | None:
    """The manifest of that stem; None when there is none. Raises `ValueError` for a damaged one, and `OSError`."""
    path = manifest_path(folder, stem)
    try:
        with path.open("rb") as file:
            text = file.read(MOST_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{path}: is not a manifest of weights: {error.error_count()} fields are wrong") from None


def install(folder: Path, stem: str, blob: bytes, manifest: Manifest) -> None:
    """Put weights and manifest into `folder`, whole or not at all. Raises `OSError`.

    Until the last step, what was there before stays in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _beside(weights_path(folder, stem), blob) as weights:
        text = manifest.model_dump_json(indent=2).encode()
        with _beside(manifest_path(folder, stem), text) as description:
            weights.replace(weights_path(folder, stem))
            description.replace(manifest_path(folder, stem))
    _sync(folder)


def remove(folder: Path, stem: str) -> tuple[Path, ...]:
    """Take what belongs to that stem out of `folder`, a published file included; returns what there was."""
    paths = (manifest_path(folder, stem), weights_path(folder, stem), folder / f"{stem}.pth")
    gone = tuple(path for path in paths if path.is_file())
    for path in gone:
        path.unlink()
    if gone:
        _sync(folder)
    return gone


def imported(folder: Path) -> tuple[ModelSpec, ...]:
    """The models that the operator imported, by name. A damaged manifest is logged and passed over."""
    return tuple(_spec(manifest, manifest.detected) for manifest in _manifests(folder) if manifest.detected)


def _manifests(folder: Path) -> Iterator[Manifest]:
    for path in sorted(folder.glob("*.json")):
        try:
            manifest = read_manifest(folder, path.stem)
        except (OSError, ValueError) as error:
            log.warning("manifest_refused", reason=str(error))
            continue
        if manifest is not None and (manifest.detected is None or manifest.model == path.stem):
            yield manifest


def _spec(manifest: Manifest, detected: Detected) -> ModelSpec:
    return ModelSpec(
        name=manifest.model,
        aliases=(),
        architecture=DetectedShape(),
        scale=detected.scale,
        pad=IMPORTED_PAD,
        licence=manifest.licence,
        author=manifest.author,
        good_at=f"what whoever imported it knows; its architecture is {detected.architecture}",
        not_good_at="not known",
        multiple=detected.multiple,
        precisions=detected.precisions,
    )


@contextmanager
def _beside(path: Path, blob: bytes) -> Iterator[Path]:
    """A file of that content in `path`'s folder, on the disk and not only in its cache. If not moved it is removed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    made = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        made.chmod(0o644)
        yield made
    finally:
        with suppress(FileNotFoundError):
            made.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
