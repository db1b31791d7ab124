"""Real photographs that come with scikit-image, made small: what the demo upscales."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph and the width it is reduced to, in pixels."""

    file: str
    width: int
    credit: str


PHOTOGRAPHS = (
    Photograph("chelsea.png", 200, "Chelsea the cat, Stéfan van der Walt, CC0"),
    Photograph("coffee.png", 180, "Coffee cup, Rachel Michetti, CC0"),
    Photograph("rocket.jpg", 180, "Falcon 9, SpaceX, public domain"),
    Photograph("motorcycle_left.png", 200, "Motorcycle, Middlebury stereo set 2014"),
)
JPEG_QUALITY = 85


def write_small(folder: Path) -> list[Path]:
    """Write the photographs, reduced, as JPEG files into `folder`: pictures as they come from a small camera."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(photograph, folder) for photograph in PHOTOGRAPHS]


def _write(photograph: Photograph, folder: Path) -> Path:
    target = folder / Path(photograph.file).with_suffix(".jpg").name
    with files("skimage").joinpath("data", photograph.file).open("rb") as source, Image.open(source) as image:
        height = round(image.height * photograph.width / image.width)
        small = image.convert("RGB").resize((photograph.width, height), Image.Resampling.LANCZOS)
    small.save(target, quality=JPEG_QUALITY)
    return target
