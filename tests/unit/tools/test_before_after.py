"""Before and after on one sheet."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.tools.before_after import GAP, side_by_side

ORIENTATION = 0x0112


def test_sheet_has_the_enlarged_source_left_of_the_result(tmp_path: Path) -> None:
    """Both have the size of the result, and a white gap keeps them apart."""
    Image.new("RGB", (5, 4), "red").save(tmp_path / "before.png")
    Image.new("RGB", (20, 16), "blue").save(tmp_path / "after.png")
    with Image.open(side_by_side(tmp_path / "before.png", tmp_path / "after.png", tmp_path / "sheet.png")) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (16, 2 * 20 + GAP, 3)
    assert (pixels[:, :20] == (255, 0, 0)).all()
    assert (pixels[:, 20 : 20 + GAP] == 255).all()
    assert (pixels[:, 20 + GAP :] == (0, 0, 255)).all()


def test_source_that_lies_on_its_side_is_shown_upright(tmp_path: Path) -> None:
    """Results are upright; a source that only says so in its EXIF would be shown squeezed and lying."""
    lying = Image.new("RGB", (8, 4), "red")
    lying.paste("lime", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    lying.save(tmp_path / "before.png", exif=exif)
    Image.new("RGB", (4, 8), "blue").save(tmp_path / "after.png")
    with Image.open(side_by_side(tmp_path / "before.png", tmp_path / "after.png", tmp_path / "sheet.png")) as sheet:
        assert sheet.getpixel((1, 1)) == (0, 255, 0)
        assert sheet.getpixel((3, 1)) == (0, 255, 0)
        assert sheet.getpixel((1, 6)) == (255, 0, 0)


def test_sheet_of_pictures_of_other_kinds_is_colour(tmp_path: Path) -> None:
    """Grey, palette and alpha are what people have."""
    Image.new("L", (4, 4), 7).save(tmp_path / "before.png")
    Image.new("RGBA", (8, 8), (1, 2, 3, 128)).save(tmp_path / "after.png")
    with Image.open(side_by_side(tmp_path / "before.png", tmp_path / "after.png", tmp_path / "sheet.png")) as sheet:
        assert (sheet.mode, sheet.getpixel((0, 0)), sheet.getpixel((23, 0))) == ("RGB", (7, 7, 7), (1, 2, 3))
