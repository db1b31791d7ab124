"""Builds and wires the worker; owns no logic."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import uuid4

import structlog

from pipeline import __version__
from pipeline.errors import PipelineError
from pipeline.gpu.allocator import keep_freed_memory
from pipeline.gpu.device import DeviceProfile, choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel, load
from pipeline.gpu.models import models_folder
from pipeline.gpu.models.catalog import catalogue
from pipeline.kafka.admin import administration
from pipeline.kafka.consume import Consumer
from pipeline.kafka.follow import follow
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.kafka.retry import group_of_retries
from pipeline.lifecycle import Exit, Lifecycle
from pipeline.settings import Settings
from pipeline.storage.jobs import Begun, Rules
from pipeline.storage.sources import SourcePolicy
from pipeline.telemetry import health, logging, metrics
from pipeline.telemetry.liveness import polling
from pipeline.telemetry.loop_lag import LoopLag
from pipeline.worker import cancel, returns
from pipeline.worker.announce import Announcer
from pipeline.worker.breaker import Breaker
from pipeline.worker.claims import Claims
from pipeline.worker.intake import Clocks, Job, accept
from pipeline.worker.loop import Worker
from pipeline.worker.open_rooms import leave_hung, open_rooms, tested
from pipeline.worker.outbox import Outbox
from pipeline.worker.outcome import Done
from pipeline.worker.rooms import Rooms
from pipeline.worker.running import Running
from pipeline.worker.serve import serve
from pipeline.worker.settle import Accept, Handling, Ports
from pipeline.worker.steps import do
from pipeline.worker.stop_rule import StopRule
from pipeline.worker.tempo import Tempo, watch
from schemas.events import CancelRequested, Event
from schemas.failures import FailureCode
from schemas.topics import Lane, Topics, declare

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
    keep_freed_memory()
    profile = choose(config.device, probe())
    folder = _models_dir(config)
    return run(config, profile, partial(load, profile=profile, folder=folder))


def run(config: Settings, profile: DeviceProfile, load_model: Load, *, around: Around = _nothing_around) -> Exit:
    """As `main`, on this device with these models. `around` may put something between settling and what it acts
    through."""
    logging.configure(config.telemetry)
    accepting = _intake(config)
    metrics.declare_known_labels()
    metrics.BUILD_INFO.labels(__version__, profile.name, profile.precision).set(1)
    try:
        return asyncio.run(_run(config, profile, load_model, around, accepting))
    except PipelineError:
        raise
    except Exception:
        log.exception("worker_crashed")
        return Exit.INTERNAL


async def _run(config: Settings, profile: DeviceProfile, load_model: Load, around: Around, accepting: Accept) -> Exit:
    life = Lifecycle()
    topics = declare(config.kafka.topic_prefix, partitions=config.kafka.partitions)
    requests = Consumer(config.kafka, topics.request_lanes, OffsetLedger(), paused=_paused)
    returning = config.kafka.model_copy(update={"group": group_of_retries(config.kafka.group)})
    retries = Consumer(returning, topics.retry_lanes, OffsetLedger())
    breakers = _breakers(requests)
    lane = DeviceLane(profile, load_model)
    async with AsyncExitStack() as opened:
        opened.callback(leave_hung, lane)
        lag = await opened.enter_async_context(LoopLag())
        live = {
            "lifecycle": life.failed,
            "loop": lag.stuck,
            "device": lane.stuck,
            "polling": polling(requests, monotonic),
            "polling retries": polling(retries, monotonic),
        }
        await opened.enter_async_context(health.serve(config.telemetry, live=live, ready={"lifecycle": life.not_ready}))
        async with administration(config.kafka) as admin:
            await admin.require(topic.name for topic in topics.all())
        publisher = await opened.enter_async_context(Publisher(config.kafka))
        outbox = Outbox(publisher, topics, config.telemetry.event_source, breakers.broker)
        announcer = await opened.enter_async_context(Announcer(outbox.mention, monotonic))
        rooms = await opened.enter_async_context(open_rooms(config, lane, announcer, breakers.store))
        if not await tested(rooms.lane):
            return Exit.INTERNAL
        await opened.enter_async_context(both(requests, retries))
        claims = Claims(rooms.store, _rules(config), breakers.store, config.telemetry.event_source)
        running, tempo = Running(), Tempo(monotonic)
        ports = around(_ports(rooms, outbox, claims, running, tempo))
        worker = Worker(
            requests,
            Handling(accepting, ports, running, StopRule(), life.fail),
            jobs_per_topic=config.intake.max_jobs,
            in_hand=lambda lane, change: metrics.IN_FLIGHT_JOBS.labels(lane).inc(change),
        )
        return await serve(
            worker,
            rooms.lane,
            life,
            drain_seconds=config.intake.drain_seconds,
            companions={
                "returning": _returning(retries, outbox).run(),
                "watching the lag": watch(requests.behind, tempo),
                "cancelling": _cancelling(config, topics, running, claims, ports),
            },
        )


@dataclass(frozen=True, slots=True)
class _Breakers:
    store: Breaker
    broker: Breaker


def _paused(lane: Lane, paused: bool) -> None:
    metrics.INTAKE_PAUSED.labels(lane).set(paused)


def _breakers(requests: Consumer) -> _Breakers:
    """While store or broker are away no further record is taken."""

    def steer() -> None:
        (requests.pause if breakers.store.open or breakers.broker.open else requests.resume)()

    breakers = _Breakers(
        store=Breaker("object store", FailureCode.STORE_UNAVAILABLE, changed=steer),
        broker=Breaker("broker", FailureCode.BROKER_UNAVAILABLE, changed=steer),
    )
    return breakers


def _ports(rooms: Rooms, outbox: Outbox, claims: Claims, running: Running, tempo: Tempo) -> Ports:
    async def work(job: Job, begun: Begun) -> Done:
        with tempo.working():
            done = await running.do(begun.key, do(job, begun, rooms))
        tempo.did(job.lane, done.stored.source.width * done.stored.source.height / 1e6)
        return done

    async def say(event: Event) -> None:
        await rooms.announcer.conclude(event, outbox.say)

    return Ports(
        claims=claims,
        do=work,
        say=say,
        hand_on=outbox.hand_on,
        park=outbox.park,
        announce=rooms.announcer.announce,
        now=monotonic,
        able=lambda: not rooms.lane.closed,
    )


def _returning(retries: Consumer, outbox: Outbox) -> Worker:
    async def put_back(received: Received) -> None:
        await returns.put_back(received, outbox.put_back, _wall)

    return Worker(
        retries,
        put_back,
        jobs_per_topic=returns.MOST_WAITING,
        in_hand=lambda lane, change: metrics.WAITING_RETRIES.labels(lane).inc(change),
    )


async def _cancelling(config: Settings, topics: Topics, running: Running, claims: Claims, ports: Ports) -> None:
    async def call_off(request: CancelRequested) -> None:
        await cancel.cancel(request, running, claims, ports.say)

    await cancel.listen(lambda: follow(config.kafka, topics.control.name, from_start=True), call_off)


@asynccontextmanager
async def both(requests: Consumer, retries: Consumer) -> AsyncIterator[None]:
    """Members of both groups. They are joined side by side, for each join may take seconds."""
    async with AsyncExitStack() as joined:
        try:
            async with asyncio.TaskGroup() as joining:
                for each in (requests, retries):
                    joining.create_task(joined.enter_async_context(each))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        yield


def _rules(config: Settings) -> Rules:
    return Rules(str(uuid4()), config.lease_seconds, config.intake.max_starts)


def _wall() -> datetime:
    return datetime.now(UTC)


def _intake(config: Settings) -> Accept:
    clocks = Clocks(wall=_wall, monotonic=monotonic)
    models = catalogue(models_folder.imported(_models_dir(config)), config.models)
    return partial(accept, clocks=clocks, sources=SourcePolicy.of(config.store, config.fetch), models=models)


def _models_dir(config: Settings) -> Path:
    return config.device.models_dir or models_folder.default_folder()
