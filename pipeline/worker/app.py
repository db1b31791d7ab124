"""Builds and wires the worker; owns no logic."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import structlog

from pipeline import __version__
from pipeline.batching.batch import Batcher
from pipeline.gpu import weights
from pipeline.gpu.catalog import find
from pipeline.gpu.device import DeviceProfile, choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel, load
from pipeline.imaging.header import Limits
from pipeline.kafka.consume import Consumer
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.lifecycle import Exit, Lifecycle, signals
from pipeline.settings import ImageSettings, Settings
from pipeline.storage import client as storage
from pipeline.storage.fetch import open_fetch
from pipeline.storage.sources import SourcePolicy
from pipeline.telemetry import health, logging, metrics
from pipeline.telemetry.loop_lag import LoopLag
from pipeline.worker.announce import Announcer
from pipeline.worker.budget import Budget
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.intake import Clocks, accept
from pipeline.worker.liveness import polling
from pipeline.worker.loop import Accept, Ports, Worker
from pipeline.worker.outbox import Outbox
from pipeline.worker.steps import Rooms, do, launch
from schemas.options import DEFAULT_MODEL
from schemas.topics import declare

PIXEL_THREADS = 2
"""For cutting, putting together and encoding; numpy and the encoders let go of the interpreter meanwhile."""

Load = Callable[[str], LoadedModel]
"""A model of the catalog by its name, on the device. Raises `JobFailed`."""
Around = Callable[[Ports], Ports]

log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`upscale worker` takes no arguments: everything about it is a setting."""
    del parser


def _nothing_around(ports: Ports) -> Ports:
    return ports


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Run until a signal says stop; returns one of `Exit`. Raises `PipelineError` when it cannot start."""
    del arguments
    profile = choose(config.device, probe())
    folder = config.device.models_dir or weights.default_folder()
    return run(config, profile, partial(load, profile=profile, folder=folder))


def run(config: Settings, profile: DeviceProfile, load_model: Load, *, around: Around = _nothing_around) -> Exit:
    """As `main`, on this device with these models. `around` may put something between the loop and what it acts
    through."""
    logging.configure(config.telemetry)
    metrics.declare_known_labels()
    metrics.BUILD_INFO.labels(__version__, profile.name, profile.precision).set(1)
    return asyncio.run(_run(config, profile, load_model, around))


async def _run(config: Settings, profile: DeviceProfile, load_model: Load, around: Around) -> Exit:
    life = Lifecycle()
    topics = declare(config.kafka.topic_prefix, partitions=config.kafka.partitions)
    consumer = Consumer(config.kafka, topics, OffsetLedger())
    async with (
        LoopLag() as lag,
        health.serve(
            config.telemetry,
            live={"lifecycle": life.failed, "loop": lag.stuck, "polling": polling(consumer, monotonic)},
            ready={"lifecycle": life.not_ready},
        ),
        Publisher(config.kafka) as publisher,
    ):
        outbox = Outbox(publisher, topics, config.telemetry.event_source)
        async with (
            Announcer(outbox.say, monotonic) as announcer,
            _rooms(config, DeviceLane(profile, load_model), announcer) as rooms,
        ):
            await rooms.lane.self_test(find(DEFAULT_MODEL).name)
            async with consumer:
                ports = Ports(
                    records=consumer,
                    do=partial(do, rooms=rooms),
                    say=outbox.say,
                    announce=announcer.announce,
                    park=outbox.park,
                    pause=outbox.pause,
                )
                worker = Worker(around(ports), _intake(config), jobs_per_lane=config.intake.max_jobs, now=monotonic)
                return await _serve(worker, rooms.lane, life, drain_seconds=config.intake.drain_seconds)


async def _serve(worker: Worker, lane: DeviceLane, life: Lifecycle, *, drain_seconds: float) -> Exit:
    """Work until a signal says stop, or until the device or the broker is lost for good."""
    working = asyncio.create_task(worker.run())
    ends = {working, asyncio.create_task(life.stopping()), asyncio.create_task(lane.failed.wait())}
    with signals(life.signal):
        life.ready()
        log.info("worker_ready", device=lane.profile.name, precision=lane.profile.precision)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if lane.failed.is_set():
            life.fail("the device stopped working")
        for waiting in ends - {working}:
            waiting.cancel()
        return await life.drain(_ended(working), stop_intake=worker.stop, seconds=drain_seconds)


async def _ended(working: "asyncio.Task[None]") -> None:
    await working


def _intake(config: Settings) -> Accept:
    clocks = Clocks(wall=lambda: datetime.now(UTC), monotonic=monotonic)
    return partial(accept, clocks=clocks, sources=SourcePolicy.of(config.store, config.fetch))


@asynccontextmanager
async def _rooms(config: Settings, device: DeviceLane, announcer: Announcer) -> AsyncIterator[Rooms]:
    """The rooms of the data path. The store is asked first: what is not there is told before anything is loaded."""
    profile = device.profile
    with ThreadPoolExecutor(PIXEL_THREADS, "pixels") as threads:
        async with (
            storage.connect(config.store) as store,
            open_fetch(store, config.fetch) as fetch,
            _decoders(config.image) as decoders,
            device as lane,
            Batcher(
                partial(launch, lane), lambda key: profile.batch_limit(key.height, key.width), slots=profile.launches
            ) as batcher,
        ):
            await storage.check(store)
            yield Rooms(
                fetch=fetch,
                decoders=decoders,
                lane=lane,
                batcher=batcher,
                store=store,
                announcer=announcer,
                threads=threads,
                bytes=Budget(config.intake.max_bytes, metrics.IN_FLIGHT_BYTES.set),
                pixels=Budget(config.intake.max_pixels, metrics.IN_FLIGHT_PIXELS.set),
                fetching=config.fetch,
                limits=config.image,
            )


def _decoders(image: ImageSettings) -> DecoderPool:
    return DecoderPool(
        image.decoder_processes,
        Limits(image.max_pixels, image.max_side, image.min_side, image.max_aspect),
        timeout_seconds=image.decode_timeout_seconds,
        memory_bytes=image.decode_memory_bytes,
    )
