"""`upscale bench faces`: crops by upstream's network, and by ours one after another and as a worker takes them.

A worker takes those that are in flight together: on a GPU in one launch, on a CPU in launches of one, side by side. The
network has the published weights where they are here, and otherwise drawn ones: they compute as long. The ways go round
in random order: read the ratios, not the seconds.
"""

import argparse
import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.batching.batch import Batcher
from pipeline.batching.work import BatchKey, TileBatch, TilePixels, TileWork
from pipeline.errors import PipelineError
from pipeline.gpu import device
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel, load_spec
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.models.specs import ModelSpec, Purpose
from pipeline.gpu.models.standing import Place, standing
from pipeline.gpu.untrained import untrained, untrained_upstream
from pipeline.imaging.align import SIDE
from pipeline.settings import Settings
from schemas.options import DEFAULT_FACE_MODEL
from schemas.topics import Lane

SEED = 1
UPSTREAM = "upstream's network"
ONE_BY_ONE, AS_A_WORKER = "one after another", "as a worker takes them"

Way = Callable[[], Awaitable[object]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench faces`."""
    parser.add_argument("--model", default=DEFAULT_FACE_MODEL, help=f"default: {DEFAULT_FACE_MODEL}")
    parser.add_argument("--crops", type=int, default=8, help="faces at a time (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured. Raises `PipelineError`."""
    spec = catalog.find(arguments.model)
    if spec.purpose is not Purpose.FACE_RESTORE:
        raise PipelineError(f"--model: must be one that restores faces, got {spec.name}")
    profile = device.choose(config.device, device.probe())
    folder = config.device.models_dir or weights.default_folder()
    model = loaded(spec, profile, folder)
    seconds = asyncio.run(_measure(model, profile, crops(arguments.crops), arguments.rounds))
    print(f"{spec.name}, {arguments.crops} crops of {SIDE} x {SIDE}, {model.precision} on {profile.name}, ", end="")
    print("drawn weights" if model.weights_sha256 == "untrained" else "published weights")
    for way, times in seconds.items():
        pairs = [mine / alone for mine, alone in zip(times, seconds[ONE_BY_ONE], strict=True)]
        print(f"{way:23} {statistics.median(times):7.2f} s, {statistics.median(pairs):.2f} times ", end="")
        print(f"({min(pairs):.2f} to {max(pairs):.2f})")
    return 0


def loaded(spec: ModelSpec, profile: DeviceProfile, folder: Path) -> LoadedModel:
    """With the published weights, or with drawn ones where they are not here."""
    if standing(spec, folder).place is Place.ABSENT:
        return untrained(spec, profile, SEED)
    return load_spec(spec, None, profile, folder)


def crops(number: int) -> tuple[TilePixels, ...]:
    """Noise: a network takes as long over it as over faces."""
    chance = np.random.default_rng(SEED)
    return tuple(chance.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(number))


async def _measure(
    model: LoadedModel, profile: DeviceProfile, faces: tuple[TilePixels, ...], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each round, by the way it was done."""
    name = model.spec.name
    # One launch at a time with all threads, which is the best that single calls can do.
    whole = device.alone(profile)
    async with (
        DeviceLane(whole, lambda _: model) as lane,
        DeviceLane(profile, lambda _: model) as worker,
        Batcher(worker.run, worker.batch_limit, slots=profile.launches) as batcher,
    ):
        key = BatchKey(name, SIDE, SIDE)

        async def one_by_one() -> None:
            for face in faces:
                await lane.run(TileBatch(key, (face,), 1))

        ways: dict[str, Way] = {
            UPSTREAM: partial(asyncio.to_thread, untrained_upstream(model.spec, whole, SEED), faces),
            ONE_BY_ONE: one_by_one,
            AS_A_WORKER: lambda: batcher.submit(TileWork(key, faces, Lane.INTERACTIVE, "bench")),
        }
        # The first time loads kernels and fills the allocator.
        for way in ways.values():
            await way()
        return await _timed(ways, rounds)


async def _timed(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in shuffled(list(ways)):
            started = perf_counter()
            await ways[name]()
            seconds[name].append(perf_counter() - started)
    return seconds


def shuffled(names: Sequence[str]) -> list[str]:
    """In random order: a machine that slows down hits all alike."""
    return random.sample(names, len(names))
