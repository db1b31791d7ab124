"""`upscale bench path`: a stream of pictures through broker and store, beside the engine alone.

Rounds of the two alternate, so that a busy machine slows both alike: read the ratio. The engine's share is what cannot
be avoided: cutting, launching and putting together, with nothing fetched, decoded, encoded or stored.
"""

import argparse
import asyncio
import io
import json
import statistics
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from uuid import uuid4

import numpy as np
from PIL import Image
from rich.console import Console

from pipeline.embedded.stack import stack, worker
from pipeline.gpu.device import choose, probe
from pipeline.gpu.models import catalog, weights
from pipeline.imaging.raster import Pixels
from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from pipeline.telemetry.scrape import quantile_bound, scrape, total
from pipeline.tools.engine import TENANT, engine
from pipeline.tools.photographs import crops
from pipeline.tools.session import Session, connect
from schemas.events import UpscaleCompleted, UpscaleRequested
from schemas.options import UpscaleOptions
from schemas.topics import Lane

SMALL_SIDE = 32
"""Pixels; of the many small jobs that show whether memory grows."""
SETTLED_AFTER = 100
"""Small jobs after which caches and pools have their size."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    model: str
    precision: str
    pictures: int
    side: int
    engine_images_per_second: float
    path_images_per_second: float
    """Medians."""
    ratios: tuple[float, ...]
    """The path's images per second divided by the engine's, round by round, sorted."""
    small_jobs: int
    memory_before_bytes: float
    memory_after_bytes: float
    """The worker's resident memory after the first and after all of the small jobs."""
    loop_lag_p99_seconds: float
    """At most this; a bucket's bound."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench path`."""
    parser.add_argument("--model", default="realesr-animevideov3", help="network (default: realesr-animevideov3)")
    parser.add_argument("--pictures", type=int, default=50, help="pictures of one round (default: 50)")
    parser.add_argument("--side", type=int, default=500, help="their side in pixels (default: 500)")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of rounds (default: 3)")
    parser.add_argument("--small-jobs", type=int, default=500, help="small jobs for the memory figure (default: 500)")
    parser.add_argument("--json", type=Path, default=None, help="also write the report to this file")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured."""
    with TemporaryDirectory(prefix="upscale-bench-") as state:
        report = asyncio.run(_measure(arguments, Path(state), config))
    for line in describe(report):
        print(line)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return 0


async def _measure(arguments: argparse.Namespace, state: Path, config: Settings) -> Report:
    console = Console(stderr=True, highlight=False)
    pictures = crops(arguments.pictures, arguments.side)
    profile = choose(config.device, probe())
    folder = config.device.models_dir or weights.default_folder()
    spec = catalog.find(arguments.model)
    async with (
        stack(state, config) as running,
        worker(state, running.local),
        connect(running.local) as session,
        engine(spec, profile, folder, pad=spec.pad, sides=profile.sides) as alone,
    ):
        path = _Path(session, UpscaleOptions(model=spec.name))
        stored = [await upload(session.store, TENANT, encoded(picture)) for picture in pictures]
        await alone.upscale(pictures[:2])
        await path.run(stored[:2])
        rounds = []
        for number in range(arguments.rounds):
            console.print(f"round {number + 1} of {arguments.rounds} ...")
            rounds.append((await _seconds(alone.upscale(pictures)), await path.run(stored)))
        url = f"http://{running.local.telemetry.host}:{running.local.telemetry.port}/metrics"
        console.print(f"{arguments.small_jobs} small jobs ...")
        before, after = await _memory(session, path, url, arguments.small_jobs)
        samples = await scrape(url)
    return Report(
        model=spec.name,
        precision=profile.precision,
        pictures=len(pictures),
        side=arguments.side,
        engine_images_per_second=len(pictures) / statistics.median(own for own, _ in rounds),
        path_images_per_second=len(pictures) / statistics.median(whole for _, whole in rounds),
        ratios=tuple(sorted(own / whole for own, whole in rounds)),
        small_jobs=arguments.small_jobs,
        memory_before_bytes=before,
        memory_after_bytes=after,
        loop_lag_p99_seconds=quantile_bound(samples, "upscale_event_loop_lag_seconds", 0.99),
    )


@dataclass(frozen=True, slots=True)
class _Path:
    """The whole path, from a request on the broker to its completion event."""

    session: Session
    options: UpscaleOptions

    async def run(self, stored: Sequence[str]) -> float:
        """Seconds from the first request to the last completion. `stored` are the names of uploaded pictures."""
        started = perf_counter()
        requests = [
            UpscaleRequested(job_id=str(uuid4()), tenant=TENANT, source=f"upload:{name}", options=self.options)
            for name in stored
        ]
        await asyncio.gather(*(self.session.ask(request, Lane.BULK) for request in requests))
        async for event in self.session.events({request.job_id for request in requests}):
            if event.terminal and not isinstance(event, UpscaleCompleted):
                raise RuntimeError(f"a picture was not upscaled: {event}")
        return perf_counter() - started


async def _seconds(work: Awaitable[object]) -> float:
    started = perf_counter()
    await work
    return perf_counter() - started


async def _memory(session: Session, path: _Path, url: str, jobs: int) -> tuple[float, float]:
    """The worker's resident bytes once it has settled, and after all small jobs."""
    name = await upload(session.store, TENANT, encoded(crops(1, SMALL_SIDE)[0]))
    await path.run([name] * min(SETTLED_AFTER, jobs))
    before = total(await scrape(url), "process_resident_memory_bytes")
    await path.run([name] * max(0, jobs - SETTLED_AFTER))
    return before, total(await scrape(url), "process_resident_memory_bytes")


def encoded(picture: Pixels) -> bytes:
    """`picture` as a PNG file."""
    target = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(target, "PNG")
    return target.getvalue()


def describe(report: Report) -> list[str]:
    """The report for a person."""
    low, middle, high = report.ratios[0], statistics.median(report.ratios), report.ratios[-1]
    growth = report.memory_after_bytes / report.memory_before_bytes - 1 if report.memory_before_bytes else 0.0
    return [
        f"{report.model}, {report.precision}: {report.pictures} pictures of {report.side} x {report.side} to PNG",
        f"engine alone  {report.engine_images_per_second:.2f} images/s",
        f"whole path    {report.path_images_per_second:.2f} images/s",
        f"path / engine median {middle:.3f}, from {low:.3f} to {high:.3f} over {len(report.ratios)} rounds",
        f"memory        {report.memory_before_bytes / 2**20:.0f} -> {report.memory_after_bytes / 2**20:.0f} MiB "
        f"({growth:+.1%}) over {report.small_jobs} small jobs",
        f"loop lag p99  at most {report.loop_lag_p99_seconds * 1000:g} ms",
    ]
