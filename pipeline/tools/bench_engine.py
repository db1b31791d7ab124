"""`upscale bench engine`: our engine beside upstream's program, same weights, tiles, device and photographs.

Ours takes the photographs as they come, tiles of several side by side, as a worker does; upstream's program takes one
at a time. Both go round in random order, so that a busy machine slows both alike: read the ratio, not the seconds.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import orjson
from skimage import data

from pipeline.gpu import device, reference
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.models import catalog, weights
from pipeline.imaging.likeness import psnr
from pipeline.imaging.raster import Pixels
from pipeline.imaging.tile import plan
from pipeline.settings import DeviceSettings, Settings
from pipeline.tools.engine import engine

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")

Upscale = Callable[[Sequence[Pixels]], Awaitable["Timed"]]
"""All pictures of a set, in order, as fast as the engine can."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Results, and the seconds they took."""

    pictures: list[Pixels]
    seconds: float


@dataclass(frozen=True, slots=True)
class Engines:
    """What is compared."""

    ours: Upscale
    exact: Upscale
    """Ours in float32."""
    upstream: Upscale


@dataclass(frozen=True, slots=True)
class Windows:
    """Upstream's notion of a tile: a core, and the context around it."""

    tile: int
    pad: int

    def sides(self, profile: DeviceProfile) -> tuple[int, ...]:
        """The device's window sides, none larger than upstream's."""
        largest = self.tile + 2 * self.pad
        return (*(side for side in profile.sides if side < largest), largest)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What to measure."""

    model: str
    precision: str
    size: int
    tile: int
    pad: int | None
    rounds: int
    json: Path | None


@dataclass(frozen=True, slots=True)
class Quality:
    """One photograph's result."""

    psnr_fp32: float
    """Against our float32 form over the same windows, dB."""
    psnr_upstream: float
    """Against upstream's result, whose windows lie elsewhere, dB."""


@dataclass(frozen=True, slots=True)
class PictureResult:
    """One photograph."""

    picture: str
    quality: Quality
    work: float
    """Source pixels our windows hold, divided by upstream's: a ratio is due to the engine where this is 1."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds for all photographs."""

    ours: float
    upstream: float


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    model: str
    precision: str
    device: str
    threads: int
    pictures: tuple[PictureResult, ...]
    rounds: tuple[Round, ...]

    @property
    def ratios(self) -> list[float]:
        """Our images per second divided by upstream's, round by round, sorted."""
        return sorted(each.upstream / each.ours for each in self.rounds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `upscale bench engine`."""
    parser.add_argument("--model", default="realesr-animevideov3", help="network to measure")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--size", type=int, default=256, help="side of the square crops, source pixels")
    parser.add_argument("--tile", type=int, default=128, help="upstream's tile; ours has the same windows")
    parser.add_argument("--pad", type=int, default=None, help="context around a tile; the model's own by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all photographs through both")
    parser.add_argument("--json", type=Path, default=None, help="also write the report to this file")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured. Raises `InvalidSettings` for a precision that the device does not do."""
    asked = Arguments(**{field.name: getattr(arguments, field.name) for field in fields(Arguments)})
    report = asyncio.run(_measure(asked, config.device))
    for line in describe(report):
        print(line)
    if asked.json:
        asked.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return 0


async def _measure(arguments: Arguments, configured: DeviceSettings) -> Report:
    spec = catalog.find(arguments.model)
    windows = Windows(arguments.tile, spec.pad if arguments.pad is None else arguments.pad)
    folder = configured.models_dir or weights.default_folder()
    profile, exact_profile = (
        device.choose(configured.model_copy(update={"precision": precision}), device.probe())
        for precision in (arguments.precision, "fp32")
    )
    threads = profile.threads * profile.launches
    sides = windows.sides(profile)
    pictures = _photographs(arguments.size)
    manner = reference.as_its_script(profile, windows.tile, windows.pad)
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(
            1, get_context("spawn"), _start_upstream, (spec.name, folder, Path(scratch), manner, threads)
        ) as process,
    ):
        async with (
            engine(spec, profile, folder, pad=windows.pad, sides=sides) as ours,
            engine(spec, exact_profile, folder, pad=windows.pad, sides=sides) as exact,
        ):
            engines = Engines(
                ours=lambda some: _timed(ours.upscale(some)),
                exact=lambda some: _timed(exact.upscale(some)),
                upstream=_Upstream(process).upscale,
            )
            # The first run of a shape is the warm-up, and the one whose pixels are compared.
            qualities = await _qualities(engines, list(pictures.values()))
            rounds = [await _round(engines, list(pictures.values())) for _ in range(arguments.rounds)]
    results = (
        PictureResult(name, quality, work(picture, windows, sides))
        for (name, picture), quality in zip(pictures.items(), qualities, strict=True)
    )
    return Report(spec.name, profile.precision, profile.name, threads, tuple(results), tuple(rounds))


class _Upstream:
    """Upstream's program in a process of its own, as it really runs, which takes one picture at a time.

    In ours it shares an allocator and a pool of threads with two engines, and is a quarter slower for that.
    """

    def __init__(self, process: Executor) -> None:
        self._process = process

    async def upscale(self, pictures: Sequence[Pixels]) -> Timed:
        return await asyncio.get_running_loop().run_in_executor(self._process, _upstream_upscale, list(pictures))


_RUNNERS: list[Callable[[Pixels], Pixels]] = []
"""Upstream's program, in the process that is its own."""


def _start_upstream(model: str, folder: Path, scratch: Path, manner: reference.Manner, threads: int) -> None:
    _RUNNERS.append(reference.runner(catalog.find(model), folder, scratch, manner, threads=threads))


def _upstream_upscale(pictures: Sequence[Pixels]) -> Timed:
    started = perf_counter()
    results = [_RUNNERS[0](picture) for picture in pictures]
    return Timed(results, perf_counter() - started)


async def _timed(upscale: Awaitable[list[Pixels]]) -> Timed:
    started = perf_counter()
    return Timed(await upscale, perf_counter() - started)


async def _qualities(engines: Engines, pictures: Sequence[Pixels]) -> list[Quality]:
    results = [(await upscale(pictures)).pictures for upscale in (engines.ours, engines.exact, engines.upstream)]
    return [
        Quality(psnr_fp32=psnr(ours, exact), psnr_upstream=psnr(ours, upstream))
        for ours, exact, upstream in zip(*results, strict=True)
    ]


async def _round(engines: Engines, pictures: Sequence[Pixels]) -> Round:
    """The same pictures through both, one after the other in random order."""
    seconds = {
        name: (await upscale(pictures)).seconds
        for name, upscale in random.sample([("ours", engines.ours), ("upstream", engines.upstream)], 2)
    }
    return Round(**seconds)


def work(picture: Pixels, windows: Windows, sides: Sequence[int]) -> float:
    """Source pixels our windows hold, divided by those of upstream's, which are clipped at the picture's border."""
    height, width = picture.shape[:2]
    layout = plan(height, width, pad=windows.pad, sides=sides)
    ours = len(layout.windows) * layout.window_height * layout.window_width
    return ours / (upstream_extent(height, windows) * upstream_extent(width, windows))


def upstream_extent(length: int, windows: Windows) -> int:
    """Pixels along one side that upstream computes: each tile's context ends where the picture does."""
    starts = range(0, length, windows.tile)
    return sum(min(start + windows.tile + windows.pad, length) - max(start - windows.pad, 0) for start in starts)


def _photographs(size: int) -> dict[str, Pixels]:
    """Square crops out of the middle of real photographs, uint8 RGB, `size` pixels or the picture's shorter side."""
    return {name: _middle(np.asarray(getattr(data, name)()), size) for name in PICTURES}


def _middle(picture: Pixels, size: int) -> Pixels:
    top, left = (max(0, length - size) // 2 for length in picture.shape[:2])
    return picture[top : top + size, left : left + size, :3]


def describe(report: Report) -> list[str]:
    """The report for a person."""
    count = len(report.pictures)
    ours, upstream = (
        count / statistics.median(seconds)
        for seconds in zip(*((each.ours, each.upstream) for each in report.rounds), strict=True)
    )
    low, middle, high = report.ratios[0], statistics.median(report.ratios), report.ratios[-1]
    return [
        f"{report.model}, {report.precision} on {report.device}, {report.threads} threads",
        f"{'':12}{'dB to fp32':>12}{'dB to upstream':>16}{'work':>8}",
        *(
            f"{row.picture:12}{row.quality.psnr_fp32:12.1f}{row.quality.psnr_upstream:16.1f}{row.work:8.2f}"
            for row in report.pictures
        ),
        f"ours {ours:.2f} images/s, upstream {upstream:.2f} images/s (medians)",
        f"ratio: median {middle:.2f}, from {low:.2f} to {high:.2f} over {len(report.rounds)} rounds of {count}",
        f"least dB to fp32: {min(row.quality.psnr_fp32 for row in report.pictures):.1f}",
    ]
