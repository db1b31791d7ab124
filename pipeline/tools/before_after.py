"""Before and after, side by side: the picture a person looks at first."""

from pathlib import Path

from PIL import Image, ImageOps

GAP = 8
"""Pixels of white between the two."""


LARGEST_PIXELS = 50_000_000
"""Of a picture on a sheet: what a viewer opens at once, and far below what Pillow refuses as a bomb."""


def side_by_side(before: Path, after: Path, target: Path) -> Path:
    """Write `before`, upright and enlarged bicubically to the size of `after`, left of `after`."""
    with Image.open(before) as small, Image.open(after) as large:
        enlarged = ImageOps.exif_transpose(small).convert("RGB").resize(large.size, Image.Resampling.BICUBIC)
        sheet = Image.new("RGB", (2 * large.width + GAP, large.height), "white")
        sheet.paste(enlarged, (0, 0))
        sheet.paste(large.convert("RGB"), (large.width + GAP, 0))
    sheet.save(target)
    return target
