"""`upscale bench webhooks`: how soon receivers hear of an event, and what a receiver that hangs costs the others.

Completion events come at a steady rate from a broker on this machine; each tenant has one endpoint, all at one local
receiver in a process of its own. Two rounds: all endpoints answer at once; then one in ten never does.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from uuid import uuid4

import aiohttp

from pipeline.embedded.process import LOOPBACK, Child, free_port, listens
from pipeline.embedded.stack import dispatcher, process_environment, stack
from pipeline.settings import Settings
from pipeline.state import endpoints
from pipeline.state.database import open_database
from pipeline.state.endpoints import NewEndpoint
from pipeline.tools.session import Session, connect
from schemas import codec
from schemas.events import Provenance, ResultObject, UpscaleCompleted, event_from
from schemas.options import OutputFormat

BEHIND_SECONDS = 40.0
"""How long the last deliveries are waited for; those that hang take 30."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round showed; seconds from event to arrival, of the endpoints that answer."""

    asked: int
    arrived: int
    p50: float
    p95: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench webhooks`."""
    parser.add_argument("--rate", type=int, default=1000, help="deliveries a second (default: 1000)")
    parser.add_argument("--seconds", type=int, default=60, help="length of a round (default: 60)")
    parser.add_argument("--endpoints", type=int, default=10, help="endpoints (default: 10)")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured."""
    with TemporaryDirectory(prefix="upscale-bench-") as state:
        quick, hanging = asyncio.run(_measure(arguments, Path(state), config))
    print(f"{arguments.rate} deliveries a second for {arguments.seconds} s to {arguments.endpoints} endpoints")
    for name, each in (("all answer", quick), ("one in ten hangs", hanging)):
        print(f"{name:17} {each.arrived} of {each.asked} arrived, p50 {each.p50:.3f} s, p95 {each.p95:.3f} s")
    print(f"p95 of the others, one in ten hanging / none: {hanging.p95 / quick.p95:.2f}")
    return 0


async def _measure(arguments: argparse.Namespace, state: Path, config: Settings) -> tuple[Round, Round]:
    opened = config.webhook.model_copy(update={"allow_http": True, "allow_private_addresses": True})
    async with stack(state, config.model_copy(update={"webhook": opened})) as local:
        results = []
        for number, hanging in enumerate((0, max(1, arguments.endpoints // 10))):
            folder = state / str(number)
            folder.mkdir()
            # Each round has a database of its own: what hangs in one is not retried in the next.
            async with (
                _receiver(folder, arguments.endpoints) as port,
                dispatcher(folder, local) as running,
                connect(running) as session,
            ):
                tenants = await _register(running, port, arguments.endpoints, hanging, number)
                results.append(await _round(session, port, tenants, arguments))
    return results[0], results[1]


@asynccontextmanager
async def _receiver(folder: Path, count: int) -> AsyncIterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "pipeline.tools.receiver", str(port), str(count)]
    async with Child("receiver", argv, process_environment(Settings()), folder / "receiver.log") as child:
        await child.ready(lambda: listens(port), 30.0)
        yield port


async def _register(local: Settings, port: int, count: int, hanging: int, number: int) -> list[str]:
    """The tenants, one endpoint each. Each has a host of its own, as those of strangers have."""
    tenants = [f"bench-{number}-{each}" for each in range(count)]
    async with open_database(local.state) as database, database.write() as connection:
        for index, tenant in enumerate(tenants):
            path = f"/hang/{index}" if index < hanging else f"/{index}"
            await endpoints.register(connection, NewEndpoint(tenant, f"http://127.0.0.{index + 1}:{port}{path}"), 0.0)
    return tenants


async def _round(session: Session, port: int, tenants: Sequence[str], arguments: argparse.Namespace) -> Round:
    asked = arguments.rate * arguments.seconds
    started, pending = time(), set[asyncio.Task[None]]()
    for number in range(asked):
        await asyncio.sleep(max(0.0, started + number / arguments.rate - time()))
        task = asyncio.create_task(_say(session, tenants[number % len(tenants)]))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
    return await _arrived(port, asked)


async def _arrived(port: int, asked: int) -> Round:
    deadline, found = time() + BEHIND_SECONDS, list[float]()
    async with aiohttp.ClientSession() as client:
        while time() < deadline:
            async with client.get(f"http://{LOOPBACK}:{port}/latencies") as answer:
                told: dict[str, list[float]] = await answer.json(content_type=None)
            before, found = len(found), [each for path, some in told.items() if "/hang" not in path for each in some]
            if len(found) == before and found:
                break
            await asyncio.sleep(1.0)
    quantiles = statistics.quantiles(found, n=20)
    return Round(asked, sum(map(len, told.values())), statistics.median(found), quantiles[-1])


async def _say(session: Session, tenant: str) -> None:
    job = str(uuid4())
    data = UpscaleCompleted(
        job_id=job,
        tenant=tenant,
        result=ResultObject(
            url=f"s3://upscale/results/{tenant}/{job}/0.png",
            sha256="0" * 64,
            size=5_000_000,
            format=OutputFormat.PNG,
            width=2000,
            height=2000,
        ),
        provenance=Provenance(model="bench", weights_sha256="0" * 64, precision="fp32", version="0"),
        source_width=500,
        source_height=500,
        processing_seconds=1.0,
    )
    event = event_from(data, source="/bench", time=datetime.now(UTC))
    await session.publisher.publish(session.topics.events.name, codec.encode(event))
