"""The figures of `upscale bench quality`."""

import io

import numpy as np
import pytest
from rich.console import Console

from pipeline.imaging.raster import Pixels
from pipeline.tools.photographs import Scene
from pipeline.tools.quality import ORIGINAL, Report, Result, Score, cells, scores, table
from tests.support.photographs import photograph

SCENES = [Scene(name, photograph(name, 196, 100), (0, 0)) for name in ("astronaut", "coffee")]
WHOLE = tuple(each.pixels for each in SCENES)
FLAT = tuple(np.full_like(each.pixels, 90) for each in SCENES)


def niqe(picture: Pixels) -> float | None:
    """In place of the real one."""
    return float(picture.std()) or None


def score(model: str, psnr: float | None, niqe: float | None) -> Score:
    return Score(model, "ours", "cat", psnr, 0.5, 1.5, niqe)


def test_every_result_is_scored_beside_its_own_photograph() -> None:
    """The original is like itself and as sharp as itself; something flat is neither, and nothing can be said of how
    natural it is."""
    found = list(scores([Result(ORIGINAL, "", WHOLE), Result("flat", "ours", FLAT)], SCENES, niqe))

    assert [(each.model, each.photograph) for each in found] == [
        (ORIGINAL, "astronaut"),
        (ORIGINAL, "coffee"),
        ("flat", "astronaut"),
        ("flat", "coffee"),
    ]
    assert (found[0].psnr, found[0].ssim, found[0].sharpness) == (None, pytest.approx(1), 1)
    assert found[0].niqe == WHOLE[0].std()
    assert found[2].psnr is not None
    assert found[2].psnr < 20
    assert (found[2].sharpness, found[2].niqe) == (0, None)


def test_means_are_over_photographs_and_keep_the_order_of_methods() -> None:
    """A score that could not be had is left out rather than counted as nought."""
    report = Report("fp32", "cpu", (score("b", 20, 4), score("b", 30, None), score("a", 10, None)))

    assert [(each.model, each.psnr, each.niqe) for each in report.means] == [("b", 25, 4), ("a", 10, None)]
    assert cells(report.means[1]) == ("10.00", "0.500", "1.50", "–")


def test_table_is_whole_on_a_narrow_screen() -> None:
    """The longest name and every figure fit into 80 columns."""
    screen = Console(width=80, file=io.StringIO())
    long = Score("realesrgan-x4plus-anime-6b", "upstream", "cat", None, 0.123, 12.34, 10.12)
    screen.print(table(Report("fp32", "cpu", (long,))))
    line = next(line for line in screen.file.getvalue().splitlines() if "anime" in line)  # type: ignore[attr-defined]

    assert line.split() == ["realesrgan-x4plus-anime-6b", "upstream", "–", "0.123", "12.34", "10.12"]
