"""Builds and wires the worker; owns no logic."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import structlog

from pipeline import __version__
from pipeline.batching.batch import Batcher
from pipeline.errors import JobFailed, PipelineError, ServiceUnreachable
from pipeline.gpu import weights
from pipeline.gpu.catalog import find
from pipeline.gpu.device import DeviceProfile, choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
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

log = structlog.get_logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`upscale worker` takes no arguments: everything about it is a setting."""
    del parser


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Run until a signal says stop; returns one of `Exit`. Raises `PipelineError` when it cannot start."""
    del arguments
    logging.configure(config.telemetry)
    metrics.declare_known_labels()
    profile = choose(config.device, probe())
    metrics.BUILD_INFO.labels(__version__, profile.name, profile.precision).set(1)
    try:
        return asyncio.run(_run(config, profile))
    except PipelineError:
        raise
    except Exception:
        log.exception("worker_crashed")
        return Exit.INTERNAL


async def _run(config: Settings, profile: DeviceProfile) -> Exit:
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
        async with Announcer(outbox.say, monotonic) as announcer, _rooms(config, profile, announcer) as rooms:
            if not await tested(rooms.lane):
                return Exit.INTERNAL
            async with consumer:
                ports = Ports(
                    records=consumer,
                    do=partial(do, rooms=rooms),
                    say=announcer.conclude,
                    announce=announcer.announce,
                    park=outbox.park,
                    pause=outbox.pause,
                )
                worker = Worker(ports, _intake(config), jobs_per_lane=config.intake.max_jobs, now=monotonic)
                return await serve(worker, rooms.lane, life, drain_seconds=config.intake.drain_seconds)


async def tested(lane: DeviceLane) -> bool:
    """Whether the device computes what it should. Raises `JobFailed` when there is nothing to try it with."""
    try:
        await lane.self_test(find(DEFAULT_MODEL).name)
    except JobFailed:
        if not lane.closed:
            raise
        return False
    return True


async def serve(worker: Worker, lane: DeviceLane, life: Lifecycle, *, drain_seconds: float) -> Exit:
    """Work until a signal says stop, or until the device or the broker is lost for good."""
    working = asyncio.create_task(worker.run())
    stopping = asyncio.create_task(life.stopping())
    watching = asyncio.create_task(_fail_with(lane, life))
    try:
        with signals(life.signal):
            life.ready()
            log.info("worker_ready", device=lane.profile.name, precision=lane.profile.precision)
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await life.drain(_ended(working), stop_intake=worker.stop, seconds=drain_seconds)
    except ServiceUnreachable as lost:
        log.critical("service_lost", reason=str(lost))
        return Exit.INTERNAL
    finally:
        for waiting in (stopping, watching):
            waiting.cancel()
        await asyncio.gather(stopping, watching, return_exceptions=True)


async def _fail_with(lane: DeviceLane, life: Lifecycle) -> None:
    """A device may die while draining too: its jobs are given up then, which must not be called clean."""
    await lane.failed.wait()
    life.fail("the device stopped working")


async def _ended(working: "asyncio.Task[None]") -> None:
    await working


def _intake(config: Settings) -> Accept:
    clocks = Clocks(wall=lambda: datetime.now(UTC), monotonic=monotonic)
    return partial(accept, clocks=clocks, sources=SourcePolicy.of(config.store, config.fetch))


@asynccontextmanager
async def _rooms(config: Settings, profile: DeviceProfile, announcer: Announcer) -> AsyncIterator[Rooms]:
    """The rooms of the data path. The store is asked first: what is not there is told before anything is loaded."""
    folder = config.device.models_dir or weights.default_folder()
    with ThreadPoolExecutor(PIXEL_THREADS, "pixels") as threads:
        async with (
            storage.connect(config.store) as store,
            open_fetch(store, config.fetch) as fetch,
            _decoders(config.image) as decoders,
            DeviceLane(profile, partial(load, profile=profile, folder=folder)) as lane,
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
