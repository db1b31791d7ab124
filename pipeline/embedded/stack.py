"""Everything one machine needs: store, broker, topics, bucket and database in one folder, worker and dispatcher."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from pipeline.embedded.broker import embedded_broker
from pipeline.embedded.claim import claimed
from pipeline.embedded.ports import keep_port
from pipeline.embedded.process import LOOPBACK, Child
from pipeline.embedded.store import embedded_store
from pipeline.kafka.admin import administration
from pipeline.settings import Settings, StoreSettings
from pipeline.state.database import open_database
from pipeline.state.migrate import migrate
from pipeline.variables import environment
from schemas.topics import declare

PARTITIONS = 4
"""Enough for the workers of one machine; more only slow the embedded broker down."""
BROKER_BUCKET = "broker"
"""Where the broker keeps its records, so that they survive a restart of the machine."""
# The embedded broker waits half a session before each assignment, and nothing on one machine is lost for seconds.
SESSION_TIMEOUT_MS = 2_000
HEARTBEAT_INTERVAL_MS = 400
WORKER_READY_SECONDS = 180.0
"""Importing torch on the first start of a slow machine takes most of it."""
DISPATCHER_READY_SECONDS = 60.0
STOP_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A store and a broker that run, with topics and bucket in place."""

    local: Settings
    """What reaches them."""
    children: tuple[Child, ...]


@asynccontextmanager
async def stack(folder: Path, config: Settings) -> AsyncIterator[Stack]:
    """Run store and broker until the block ends, and point `config` at them. Their ports are those of the last start
    in `folder`, where these are free.

    Raises `FolderNotUsable`, and `ChildFailed` when one of them does not start.
    """
    buckets = (config.store.bucket, BROKER_BUCKET)
    with claimed(folder):
        async with (
            embedded_store(folder / "store", buckets=buckets, port=keep_port(folder, "store")) as store,
            embedded_broker(
                folder, port=keep_port(folder, "broker"), store=store.settings, bucket=BROKER_BUCKET
            ) as broker,
        ):
            local = pointed_at(config, broker.servers, store.settings, folder)
            async with administration(local.kafka) as admin:
                await admin.create(declare(local.kafka.topic_prefix, partitions=PARTITIONS).all())
            yield Stack(local, (store.child, broker.child))


@asynccontextmanager
async def worker(folder: Path, local: Settings) -> AsyncIterator[Child]:
    """A worker of its own process, ready to take requests; it finishes what it holds when the block ends."""
    child = Child(
        "the worker",
        [sys.executable, "-m", "pipeline", "worker"],
        process_environment(local),
        folder / "worker.log",
        stop_seconds=local.intake.drain_seconds + STOP_MARGIN_SECONDS,
    )
    async with child:
        await child.ready(lambda: is_ready(local), WORKER_READY_SECONDS)
        yield child


@dataclass(frozen=True, slots=True)
class Role:
    """A process of ours."""

    child: Child
    local: Settings
    """What it runs with."""


@asynccontextmanager
async def dispatcher(folder: Path, local: Settings) -> AsyncIterator[Role]:
    """A dispatcher of its own process, its tables made; it finishes the attempts under way when the block ends."""
    port = keep_port(folder, "webhooks")
    own = local.model_copy(update={"telemetry": local.telemetry.model_copy(update={"port": port})})
    async with open_database(own.state, migrating=True) as database:
        await migrate(database)
    child = Child(
        "the dispatcher",
        [sys.executable, "-m", "pipeline", "dispatcher"],
        process_environment(own),
        folder / "dispatcher.log",
        stop_seconds=own.webhook.drain_seconds + STOP_MARGIN_SECONDS,
    )
    async with child:
        await child.ready(lambda: is_ready(own), DISPATCHER_READY_SECONDS)
        yield Role(child, own)


def pointed_at(config: Settings, servers: str, store: StoreSettings, folder: Path) -> Settings:
    """`config` with the addresses of this machine's services, a database in `folder`, and timeouts that suit them."""
    return config.model_copy(
        update={
            "kafka": config.kafka.model_copy(
                update={
                    "servers": servers,
                    "partitions": PARTITIONS,
                    "session_timeout_ms": SESSION_TIMEOUT_MS,
                    "heartbeat_interval_ms": HEARTBEAT_INTERVAL_MS,
                }
            ),
            "store": store,
            "state": config.state.model_copy(update={"url": SecretStr(f"sqlite:///{folder / 'upscale.db'}")}),
            # One worker, so whoever meets a job that was begun is its heir.
            "intake": config.intake.model_copy(update={"lease_seconds": 0.0}),
            "telemetry": config.telemetry.model_copy(update={"host": LOOPBACK, "port": keep_port(folder, "worker")}),
        }
    )


def process_environment(local: Settings) -> dict[str, str]:
    """The whole environment of a child of this program. The search path makes it run the same code as we do."""
    return {**environment(local), "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(Path.home())}


async def is_ready(local: Settings) -> bool:
    """Whether the worker of `local` says that it takes requests."""
    url = f"http://{local.telemetry.host}:{local.telemetry.port}/ready"
    try:
        async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
