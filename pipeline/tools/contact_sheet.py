"""Contact sheet: the same part of every photograph by every method, on one picture for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from pipeline.imaging.raster import Pixels
from pipeline.tools.photographs import Scene, around

SIDE = 160
"""Of one part, pixels; not resized, so that what is seen is what was made."""
GAP = 4
TITLE = 20
"""Height of the line above, pixels."""
TEXT = 12


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One method's pictures, in the order of the photographs."""

    title: str
    pictures: tuple[Pixels, ...]


def contact_sheet(scenes: Sequence[Scene], columns: Sequence[Column]) -> Image.Image:
    """A row for each photograph, a column for each method, titles above."""
    step = SIDE + GAP
    sheet = Image.new("RGB", (len(columns) * step - GAP, TITLE + len(scenes) * step - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, method in enumerate(columns):
        draw.text((column * step + SIDE / 2, TITLE / 2), method.title, "black", _font(method.title), anchor="mm")
        for row, (scene, picture) in enumerate(zip(scenes, method.pictures, strict=True)):
            size = (min(SIDE, picture.shape[0]), min(SIDE, picture.shape[1]))
            part = picture[around(scene.focus, picture.shape, size)]
            sheet.paste(Image.fromarray(part), (column * step, TITLE + row * step))
    return sheet


def _font(title: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """As large as lets the title stay inside its column."""
    font = ImageFont.load_default(TEXT)
    return ImageFont.load_default(TEXT * min(1.0, SIDE / max(1.0, font.getlength(title))))
