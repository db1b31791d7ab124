"""The whole of `upscale demo`."""

import re
from pathlib import Path

import pytest
from PIL import Image

from pipeline.tools.before_after import GAP
from tests.support.commands import Commands
from tests.support.deployment_local import MODEL
from tests.support.images import make_pixels

pytestmark = [pytest.mark.integration, pytest.mark.weights]


def test_demo_upscales_pictures_and_shows_them_before_and_after(commands: Commands, tmp_path: Path) -> None:
    """One command: all that it starts comes and goes, a sheet for each picture stays, and the last line sums up."""
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, side in zip(pictures, (20, 30), strict=True):
        Image.fromarray(make_pixels(side, side)).save(path)
    output = tmp_path / "out"

    ended = commands.run("demo", *map(str, pictures), "-m", MODEL, "-s", "2", "-o", str(output), environment={})

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert re.fullmatch(
        r"2 of 2 pictures, 0\.00 -> 0\.01 megapixels in [\d.]+ s, [1-9][\d.]* tiles per batch", lines[-1]
    )
    sheets = {output / f"{name}_x2_before_after.png" for name in "ab"}
    assert {Path(line.removeprefix("compare ")) for line in lines if line.startswith("compare ")} == sheets
    with Image.open(output / "a_x2_before_after.png") as sheet:
        assert sheet.size == (2 * 40 + GAP, 40)
    with Image.open(output / "after" / "b_x2.png") as result:
        assert result.size == (60, 60)
