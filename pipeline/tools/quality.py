"""The figures of `upscale bench quality`: results -> scores -> a table for a person. Pure."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from pipeline.imaging.likeness import psnr, sharpness, ssim
from pipeline.imaging.raster import Pixels
from pipeline.tools.photographs import Scene

ORIGINAL = "original"


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one method made of every photograph."""

    model: str
    by: str
    pictures: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """One result beside its original."""

    model: str
    by: str
    photograph: str
    psnr: float | None
    """dB; None for the original itself, where it is infinite."""
    ssim: float
    sharpness: float
    """Ratio to the original's."""
    niqe: float | None
    """Lower is more natural; None where the picture is too small for it."""


@dataclass(frozen=True, slots=True)
class Means:
    """One method over all photographs."""

    model: str
    by: str
    psnr: float | None
    ssim: float
    sharpness: float
    niqe: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    precision: str
    """Of our engine; upstream's program runs in float32."""
    device: str
    scores: tuple[Score, ...]

    @property
    def means(self) -> list[Means]:
        """In the order of the methods."""
        methods = dict.fromkeys((each.model, each.by) for each in self.scores)
        return [_mean([each for each in self.scores if (each.model, each.by) == method]) for method in methods]


def scores(
    results: Sequence[Result], scenes: Sequence[Scene], niqe: Callable[[Pixels], float | None]
) -> Iterator[Score]:
    """Every result beside the photograph it came from."""
    for result in results:
        for found, scene in zip(result.pictures, scenes, strict=True):
            decibels = psnr(found, scene.pixels)
            yield Score(
                result.model,
                result.by,
                scene.name,
                psnr=decibels if math.isfinite(decibels) else None,
                ssim=ssim(found, scene.pixels),
                sharpness=sharpness(found) / sharpness(scene.pixels),
                niqe=niqe(found),
            )


def _mean(of: Sequence[Score]) -> Means:
    return Means(
        of[0].model,
        of[0].by,
        psnr=_mean_of_known(each.psnr for each in of),
        ssim=statistics.fmean(each.ssim for each in of),
        sharpness=statistics.fmean(each.sharpness for each in of),
        niqe=_mean_of_known(each.niqe for each in of),
    )


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return statistics.fmean(known) if known else None


def table(report: Report) -> Table:
    """Means over all photographs."""
    photographs = list(dict.fromkeys(each.photograph for each in report.scores))
    title = f"mean of {', '.join(photographs)}; ours in {report.precision} on {report.device}"
    found = Table("model", "by", title=title, box=box.SIMPLE)
    for column in ("PSNR dB", "SSIM", "sharpness", "NIQE"):
        found.add_column(column, justify="right")
    for each in report.means:
        found.add_row(each.model, each.by, *cells(each))
    return found


def cells(means: Means) -> tuple[str, str, str, str]:
    """The four figures, as people read them."""
    decibels, natural = ("–" if each is None else f"{each:.2f}" for each in (means.psnr, means.niqe))
    return decibels, f"{means.ssim:.3f}", f"{means.sharpness:.2f}", natural
