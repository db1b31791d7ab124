"""Real photographs that come with scikit-image, made small: what the demo upscales."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
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
    return [_write(photograph, folder) for photograph in PHOTOGRAPHS]


def _write(photograph: Photograph, folder: Path) -> Path:
    target = folder / Path(photograph.file).with_suffix(".jpg").name
    with files("skimage").joinpath("data", photograph.file).open("rb") as source, Image.open(source) as image:
        height = round(image.height * photograph.width / image.width)
        small = image.convert("RGB").resize((photograph.width, height), Image.Resampling.LANCZOS)
    small.save(target, quality=JPEG_QUALITY)
    return target


def crops(count: int, side: int) -> list[npt.NDArray[np.uint8]]:
    """`count` different squares of `side` pixels out of the photographs, (side, side, 3); each photograph is enlarged
    where it is too small."""
    sheets = [_enough(photograph, side) for photograph in PHOTOGRAPHS]
    found = []
    for index in range(count):
        sheet = sheets[index % len(sheets)]
        # Steps that share no factor with the room to move in, so that no two crops are alike.
        top, left = (index * 37 % (sheet.shape[0] - side + 1), index * 53 % (sheet.shape[1] - side + 1))
        found.append(np.ascontiguousarray(sheet[top : top + side, left : left + side]))
    return found


def _enough(photograph: Photograph, side: int) -> npt.NDArray[np.uint8]:
    """The photograph, its shorter side at least `side` and a quarter."""
    with files("skimage").joinpath("data", photograph.file).open("rb") as source, Image.open(source) as image:
        rgb = image.convert("RGB")
    factor = max(1.0, 1.25 * side / min(rgb.size))
    size = (round(rgb.width * factor), round(rgb.height * factor))
    return np.asarray(rgb.resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)
