"""The figures of `upscale bench quality`: results -> scores -> a table for a person. Pure but for NIQE's parameters."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from pipeline.gpu.niqe import niqe
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
    psnr: float
    """dB; infinite, and null in JSON, for the original itself."""
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
    psnr: float
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


def scores(results: Sequence[Result], scenes: Sequence[Scene]) -> Iterator[Score]:
    """Every result beside the photograph it came from."""
    for result in results:
        for found, scene in zip(result.pictures, scenes, strict=True):
            yield Score(
                result.model,
                result.by,
                scene.name,
                psnr=psnr(found, scene.pixels),
                ssim=ssim(found, scene.pixels),
                sharpness=sharpness(found) / sharpness(scene.pixels),
                niqe=niqe(found),
            )


def _mean(of: Sequence[Score]) -> Means:
    natural = [each.niqe for each in of if each.niqe is not None]
    return Means(
        of[0].model,
        of[0].by,
        psnr=statistics.fmean(each.psnr for each in of),
        ssim=statistics.fmean(each.ssim for each in of),
        sharpness=statistics.fmean(each.sharpness for each in of),
        niqe=statistics.fmean(natural) if natural else None,
    )


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
    natural = "–" if means.niqe is None else f"{means.niqe:.2f}"
    return f"{means.psnr:.2f}", f"{means.ssim:.3f}", f"{means.sharpness:.2f}", natural
