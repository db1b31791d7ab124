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


@dataclass(frozen=True, slots=True)
class Subject:
    """One photograph in full size."""

    file: str
    focus: tuple[int, int]
    """What a person looks at: pixels from the top and from the left."""
    credit: str


SUBJECTS = (
    Subject("astronaut.png", (110, 225), "Eileen Collins, NASA, public domain"),
    Subject("chelsea.png", (115, 200), "Chelsea the cat, Stéfan van der Walt, CC0"),
    Subject("coffee.png", (160, 400), "Coffee cup, Rachel Michetti, CC0"),
    Subject("rocket.jpg", (200, 320), "Falcon 9, SpaceX, public domain"),
    Subject("retina.jpg", (730, 300), "A human retina, Mikael Häggström, CC0"),
)
"""What quality is measured on. All may be shown to anybody."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A part of a photograph around its focus."""

    name: str
    pixels: npt.NDArray[np.uint8]
    """(height, width, 3)."""
    focus: tuple[int, int]
    """Where the focus lies in it."""


def scene(subject: Subject, side: int, *, multiple: int) -> Scene:
    """At most `side` high and wide, sides rounded down to a multiple of `multiple`."""
    pixels = _pixels(subject.file)
    height, width = (min(side, length) // multiple * multiple for length in pixels.shape[:2])
    rows, columns = around(subject.focus, pixels.shape, (height, width))
    focus = (subject.focus[0] - rows.start, subject.focus[1] - columns.start)
    return Scene(Path(subject.file).stem, np.ascontiguousarray(pixels[rows, columns]), focus)


def around(point: tuple[int, int], shape: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a part of `size` (height, width) with `point` in its middle, moved inwards at a border."""
    top, left = (
        max(0, min(middle - side // 2, length - side))
        for middle, length, side in zip(point, shape[:2], size, strict=True)
    )
    return slice(top, top + size[0]), slice(left, left + size[1])


def _pixels(file: str) -> npt.NDArray[np.uint8]:
    with files("skimage").joinpath("data", file).open("rb") as source, Image.open(source) as image:
        return np.asarray(image.convert("RGB"))


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
