"""A verified published file -> the models folder: converted to safetensors once, whole or not at all."""

import hashlib
from datetime import datetime
from pathlib import Path

from pipeline.gpu.models import models_folder
from pipeline.gpu.models.catalog import described
from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.parameters import from_pth, to_safetensors
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights
from pipeline.gpu.models.weights import verified


def convert(spec: ModelSpec, published: OfficialWeights, source: Path, folder: Path, *, now: datetime) -> Manifest:
    """Install the file at `source`, which is `published` of `spec`. Blocks for hashing, conversion and disk.

    Raises `ValueError` for a file that is another or holds no parameters, and `OSError`; nothing is changed then.
    """
    tensors = from_pth(verified(source, published.sha256))
    blob = to_safetensors(tensors)
    manifest = Manifest(
        model=spec.name,
        sha256=hashlib.sha256(blob).hexdigest(),
        size=len(blob),
        source_sha256=published.sha256,
        source_size=published.size,
        origin=published.url,
        licence=spec.licence,
        author=spec.author,
        architecture=described(spec),
        installed=now.isoformat(timespec="seconds"),
    )
    models_folder.install(folder, models_folder.published_stem(published), blob, manifest)
    return manifest
