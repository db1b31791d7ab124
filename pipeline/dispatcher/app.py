"""Builds and wires the dispatcher; owns no logic."""

import argparse
import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from time import monotonic, time

import structlog

from pipeline import __version__
from pipeline.dispatcher.at_once import Hands
from pipeline.dispatcher.attempts import Attempts
from pipeline.dispatcher.deliver import open_deliverer, url_policy
from pipeline.dispatcher.intake import Intake
from pipeline.dispatcher.places import Places
from pipeline.dispatcher.serve import serve
from pipeline.dispatcher.tell import Teller
from pipeline.dispatcher.upkeep import Keep, Upkeep
from pipeline.dispatcher.work import DeliveryWork
from pipeline.errors import PipelineError
from pipeline.kafka.batches import Batches
from pipeline.kafka.offsets import Partition
from pipeline.kafka.publish import Publisher
from pipeline.lifecycle import Exit, Lifecycle
from pipeline.settings import Settings, WebhookSettings
from pipeline.state import migrate, offsets
from pipeline.state.database import Database, open_database
from pipeline.storage.presign import open_public_url
from pipeline.telemetry import health, logging, metrics
from pipeline.telemetry.liveness import polling
from pipeline.telemetry.loop_lag import LoopLag
from schemas import codec
from schemas.events import Event
from schemas.topics import Topics, declare

RECORDS_AT_ONCE = 200

log = structlog.get_logger(__name__)

COLLECT_AFTER = 20_000
"""New objects before the garbage collector looks at them; Python's own is 700."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`upscale dispatcher` takes no arguments: everything about it is a setting."""
    del parser


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Run until a signal says stop; returns one of `Exit`. Raises `PipelineError` when it cannot start."""
    del arguments
    logging.configure(config.telemetry)
    metrics.BUILD_INFO.labels(__version__, "none", "none").set(1)
    try:
        return asyncio.run(_run(config))
    except PipelineError:
        raise
    except Exception:
        log.exception("dispatcher_crashed")
        return Exit.INTERNAL


async def _run(config: Settings) -> Exit:
    warn_of_early_ends(config.webhook)
    life = Lifecycle()
    topics = declare(config.kafka.topic_prefix, partitions=config.kafka.partitions)
    async with AsyncExitStack() as opened:
        lag = await opened.enter_async_context(LoopLag())
        database = await opened.enter_async_context(open_database(config.state))
        await migrate.check(database)
        batches = _batches(config, topics, database)
        live = {"lifecycle": life.failed, "loop": lag.stuck, "polling": polling(batches, monotonic)}
        await opened.enter_async_context(health.serve(config.telemetry, live=live, ready={"lifecycle": life.not_ready}))
        signing = open_public_url(config.store, config.webhook.result_url_seconds)
        public_url = await opened.enter_async_context(signing)
        publisher = await opened.enter_async_context(Publisher(config.kafka))
        deliver = await opened.enter_async_context(open_deliverer(config.webhook))
        work = DeliveryWork(database, deliver, config.webhook, random.random, time)
        attempts = Attempts(work.ports(), _places(config.webhook))
        say = _saying(publisher, topics)
        policy = url_policy(config.webhook)
        intake = Intake(
            database=database,
            policy=policy,
            public_url=public_url,
            say=say,
            event_source=config.telemetry.event_source,
            events_topic=topics.events.name,
            hands=Hands(attempts.reserve, attempts.give_up, attempts.begin, work.lease_seconds),
            now=time,
        )
        await opened.enter_async_context(batches)
        keep = Keep(config.webhook.keep_seconds, config.webhook.keep_jobs_seconds)
        upkeep = Upkeep(database, say, config.telemetry.event_source, keep, time)
        _spare_the_collector()
        return await serve(
            {
                "taking events": lambda stopping: batches.run(intake.take, stopping),
                "attempting": attempts.run,
                "telling progress": Teller(database, policy, attempts.wake, time).run,
                "upkeep": upkeep.run,
            },
            life,
            drain_seconds=config.webhook.drain_seconds,
        )


def warn_of_early_ends(settings: WebhookSettings) -> None:
    """Bodies are kept as they were first sent: sent again late, they may name a result that nobody can read there."""
    if 0 < settings.result_url_seconds < settings.keep_seconds:
        log.warning(
            "result_addresses_end_early",
            readable_seconds=settings.result_url_seconds,
            keep_seconds=settings.keep_seconds,
        )


def _spare_the_collector() -> None:
    """What is there now stays for good, and is not to be gone through again and again.

    Measured at 1,000 deliveries a second for a minute: the collector had 40 % of the event loop's thread before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def _batches(config: Settings, topics: Topics, database: Database) -> Batches:
    async def places(_: Collection[Partition]) -> dict[tuple[str, int], int]:
        async with database.read() as connection:
            return await offsets.read_offsets(connection)

    kafka = config.kafka.model_copy(update={"group": config.webhook.group})
    names = [*(topic.name for topic in topics.requests.values()), topics.events.name]
    return Batches(kafka, names, places, most=RECORDS_AT_ONCE)


def _saying(publisher: Publisher, topics: Topics) -> Callable[[Event], Awaitable[None]]:
    async def say(event: Event) -> None:
        await publisher.publish(topics.events.name, codec.encode(event))

    return say


def _places(settings: WebhookSettings) -> Places:
    return Places(endpoint=settings.endpoint_concurrency, host=settings.host_concurrency, total=settings.concurrency)
