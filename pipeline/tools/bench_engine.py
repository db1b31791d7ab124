"""`upscale bench engine`: our engine beside upstream's program, same weights, tiles, device and photographs.

Pairs are interleaved in random order, so that a busy machine slows both alike: read the ratio, not the seconds.
"""

import argparse
import asyncio
import math
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import orjson
from skimage import data

from pipeline.batching.work import BatchKey, TileBatch
from pipeline.gpu import catalog, device, model, reference, weights
from pipeline.gpu.catalog import ModelSpec
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.lane import DeviceLane
from pipeline.imaging.raster import Pixels
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import TilePlan, cut, plan
from pipeline.settings import DeviceSettings, Settings

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")

Engine = Callable[[Pixels], Awaitable[Pixels]]


@dataclass(frozen=True, slots=True)
class Engines:
    """What is compared."""

    ours: Engine
    exact: Engine
    """Ours in float32."""
    upstream: Engine
    work: Callable[[Pixels], float]
    """Source pixels ours computes for a picture, divided by upstream's."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Upstream's notion of a tile: a core, and the context around it."""

    tile: int
    pad: int


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
class PictureResult:
    """One photograph."""

    picture: str
    ours_seconds: float
    upstream_seconds: float
    """Medians."""
    psnr_fp32: float
    """Against our float32 form over the same windows, dB."""
    psnr_upstream: float
    """Against upstream's result, whose windows lie elsewhere, dB."""
    work: float
    """Source pixels ours computed, divided by upstream's: a ratio is due to the engine where this is 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    model: str
    precision: str
    device: str
    threads: int
    pictures: tuple[PictureResult, ...]
    ratios: tuple[float, ...]
    """Upstream's seconds divided by ours, pair by pair, sorted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `upscale bench engine`."""
    parser.add_argument("--model", default="realesr-animevideov3", help="network to measure")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--size", type=int, default=256, help="side of the square crops, source pixels")
    parser.add_argument("--tile", type=int, default=128, help="upstream's tile; ours has the same windows")
    parser.add_argument("--pad", type=int, default=None, help="context around a tile; the model's own by default")
    parser.add_argument("--rounds", type=int, default=3, help="pairs for each photograph")
    parser.add_argument("--json", type=Path, default=None, help="also write the report to this file")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured. Raises `InvalidSettings` for a precision that the device does not do."""
    asked = Arguments(**{field.name: getattr(arguments, field.name) for field in fields(Arguments)})
    report = asyncio.run(_measure(asked, config.device))
    _print(report)
    if asked.json:
        asked.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return 0


async def _measure(arguments: Arguments, configured: DeviceSettings) -> Report:
    spec = catalog.find(arguments.model)
    pad = spec.pad if arguments.pad is None else arguments.pad
    folder = configured.models_dir or weights.default_folder()
    profile, exact_profile = (
        device.choose(configured.model_copy(update={"precision": precision}), device.probe())
        for precision in (arguments.precision, "fp32")
    )
    with tempfile.TemporaryDirectory() as scratch:
        upstream = reference.runner(
            spec, folder, Path(scratch), tile=arguments.tile, pad=pad, threads=profile.threads * profile.launches
        )
        async with (
            DeviceLane(profile, partial(model.load, profile=profile, folder=folder)) as lane,
            DeviceLane(exact_profile, partial(model.load, profile=exact_profile, folder=folder)) as exact_lane,
        ):
            windows = Windows(arguments.tile, pad)
            engines = Engines(
                ours=partial(_enlarge, lane, spec, windows),
                exact=partial(_enlarge, exact_lane, spec, windows),
                upstream=lambda picture: asyncio.to_thread(upstream, picture),
                work=partial(_work, profile, windows),
            )
            pairs, results = await _compare(engines, _photographs(arguments.size), arguments.rounds)
    return Report(
        spec.name,
        profile.precision,
        profile.name,
        profile.threads * profile.launches,
        tuple(results),
        tuple(sorted(pairs)),
    )


def _layout(profile: DeviceProfile, windows: Windows, picture: Pixels) -> TilePlan:
    """The worker's own plan, with windows no larger than upstream's."""
    largest = windows.tile + 2 * windows.pad
    sides = (*(side for side in profile.sides if side < largest), largest)
    return plan(picture.shape[0], picture.shape[1], pad=windows.pad, sides=sides)


async def _enlarge(lane: DeviceLane, spec: ModelSpec, windows: Windows, picture: Pixels) -> Pixels:
    """One picture through the engine as a worker does it: cut, launch, stitch."""
    layout = _layout(lane.profile, windows, picture)
    tiles = cut(picture, layout)
    key = BatchKey(spec.name, layout.window_height, layout.window_width)
    limit = lane.profile.batch_limit(key.height, key.width)
    parts = [tiles[start : start + limit] for start in range(0, len(tiles), limit)]
    launched = await asyncio.gather(*(lane.run(TileBatch(key, part, jobs=1)) for part in parts))
    upscaled = [tile for part in launched for tile in part]
    return stitch(layout, upscaled, spec.scale)


def _work(profile: DeviceProfile, windows: Windows, picture: Pixels) -> float:
    """Source pixels our windows hold, divided by those of upstream's, which are clipped at the picture's border."""
    layout = _layout(profile, windows, picture)
    ours = len(layout.windows) * layout.window_height * layout.window_width
    rows, columns = (upstream_extent(length, windows) for length in picture.shape[:2])
    return ours / (rows * columns)


def upstream_extent(length: int, windows: Windows) -> int:
    """Pixels along one side that upstream computes: each tile's context ends where the picture does."""
    starts = range(0, length, windows.tile)
    return sum(min(start + windows.tile + windows.pad, length) - max(start - windows.pad, 0) for start in starts)


async def _compare(
    engines: Engines, pictures: Mapping[str, Pixels], rounds: int
) -> tuple[list[float], list[PictureResult]]:
    ratios: list[float] = []
    results: list[PictureResult] = []
    for name, picture in pictures.items():
        # The first run of a shape is the warm-up, and the one whose pixels are compared.
        ours, upstream = await engines.ours(picture), await engines.upstream(picture)
        exact = await engines.exact(picture)
        pairs = [await _pair(engines, picture) for _ in range(rounds)]
        ratios += [theirs / own for own, theirs in pairs]
        results.append(
            PictureResult(
                name,
                statistics.median(own for own, _ in pairs),
                statistics.median(theirs for _, theirs in pairs),
                psnr(ours, exact),
                psnr(ours, upstream),
                engines.work(picture),
            )
        )
    return ratios, results


async def _pair(engines: Engines, picture: Pixels) -> tuple[float, float]:
    """Seconds of ours and of upstream, run one after the other in random order."""
    seconds = {}
    for name, engine in random.sample([("ours", engines.ours), ("upstream", engines.upstream)], 2):
        started = perf_counter()
        await engine(picture)
        seconds[name] = perf_counter() - started
    return seconds["ours"], seconds["upstream"]


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures, dB; infinite, and null in JSON, when they are equal."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def _photographs(size: int) -> dict[str, Pixels]:
    """Square crops out of the middle of real photographs, uint8 RGB, `size` pixels or the picture's shorter side."""
    return {name: _middle(np.asarray(getattr(data, name)()), size) for name in PICTURES}


def _middle(picture: Pixels, size: int) -> Pixels:
    top, left = (max(0, length - size) // 2 for length in picture.shape[:2])
    return picture[top : top + size, left : left + size, :3]


def _print(report: Report) -> None:
    print(f"{report.model}, {report.precision} on {report.device}, {report.threads} threads")
    print(f"{'':12}{'ours':>10}{'upstream':>10}{'ratio':>8}{'dB to fp32':>12}{'dB to upstream':>16}{'work':>8}")
    for row in report.pictures:
        print(
            f"{row.picture:12}{1 / row.ours_seconds:8.2f}/s{1 / row.upstream_seconds:8.2f}/s"
            f"{row.upstream_seconds / row.ours_seconds:8.2f}"
            f"{row.psnr_fp32:12.1f}{row.psnr_upstream:16.1f}{row.work:8.2f}"
        )
    low, middle, high = report.ratios[0], statistics.median(report.ratios), report.ratios[-1]
    print(f"ratio: median {middle:.2f}, from {low:.2f} to {high:.2f} over {len(report.ratios)} pairs")
    print(f"least dB to fp32: {min(row.psnr_fp32 for row in report.pictures):.1f}")
