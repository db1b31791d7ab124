"""All results on one picture."""

import numpy as np
import pytest

from pipeline.imaging.raster import Pixels
from pipeline.tools.contact_sheet import GAP, SIDE, TITLE, Column, contact_sheet
from pipeline.tools.photographs import Scene


def flat(colour: tuple[int, int, int], side: int = 200) -> Pixels:
    return np.full((side, side, 3), colour, np.uint8)


def test_sheet_has_a_row_for_each_photograph_and_a_column_for_each_method() -> None:
    """Every cell shows its own picture, and white keeps them apart."""
    scenes = [Scene("one", flat((0, 0, 0)), (100, 100)), Scene("two", flat((0, 0, 0)), (0, 0))]
    colours = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (9, 9, 9)]]
    sheet = np.asarray(contact_sheet(scenes, [Column("m", tuple(map(flat, each))) for each in colours]), dtype=np.uint8)

    assert sheet.shape == (TITLE + 2 * SIDE + GAP, 2 * SIDE + GAP, 3)
    for column, of in enumerate(colours):
        for row, colour in enumerate(of):
            top, left = TITLE + row * (SIDE + GAP), column * (SIDE + GAP)
            assert (sheet[top : top + SIDE, left : left + SIDE] == colour).all()
    assert (sheet[TITLE:, SIDE : SIDE + GAP] == 255).all()


def test_cell_is_the_part_around_the_focus_pixel_for_pixel() -> None:
    """A person judges what was made, not what a resize made of it."""
    picture = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    sheet = np.asarray(contact_sheet([Scene("one", picture, (150, 250))], [Column("m", (picture,))]))

    assert np.array_equal(sheet[TITLE:], picture[150 - SIDE // 2 : 150 + SIDE // 2, 250 - SIDE // 2 : 250 + SIDE // 2])


@pytest.mark.parametrize("title", ["m", "a-model-with-a-name-that-is-longer-than-its-column-is-wide"])
def test_title_stays_above_its_own_column(title: str) -> None:
    """Names of models are long."""
    picture = flat((0, 0, 0))
    columns = [Column(title, (picture,)), Column("", (picture,))]
    above = np.asarray(contact_sheet([Scene("one", picture, (0, 0))], columns).convert("L"))[:TITLE]

    assert above[:, :SIDE].min() < 128
    assert above[:, SIDE + GAP :].min() == 255


def test_picture_smaller_than_a_cell_is_shown_whole() -> None:
    """A benchmark of small parts has a sheet too."""
    small = flat((1, 2, 3), side=40)
    sheet = np.asarray(contact_sheet([Scene("one", small, (5, 5))], [Column("", (small,))]))

    assert (sheet[TITLE : TITLE + 40, :40] == (1, 2, 3)).all()
    assert (sheet[TITLE + 40 :] == 255).all()
