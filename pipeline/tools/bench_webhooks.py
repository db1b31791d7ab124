"""`upscale bench webhooks`: how soon receivers hear of an event, and what a receiver that hangs costs the others.

Completion events come at a steady rate from a broker on this machine that keeps them in memory; each tenant has one
endpoint, all at one local receiver in a process of its own. Rounds come in pairs, in random order: in one of them all
endpoints answer at once, in the other one in ten never does.
"""

import argparse
import asyncio
import random
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import aiohttp
from pydantic import SecretStr

from pipeline.embedded.broker import embedded_broker
from pipeline.embedded.process import LOOPBACK, Child, free_port, listens
from pipeline.embedded.stack import dispatcher, pointed_at, process_environment
from pipeline.kafka.admin import administration
from pipeline.kafka.publish import Publisher
from pipeline.settings import Settings, StoreSettings
from pipeline.state import endpoints
from pipeline.state.database import open_database
from pipeline.state.endpoints import NewEndpoint
from pipeline.telemetry.scrape import scrape, total
from pipeline.tools.completions import say_completions
from schemas.topics import Topics, declare

BEHIND_SECONDS = 40.0
"""How long the last deliveries are waited for; those that hang take 30."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round showed; seconds from event to arrival, of the endpoints that answer."""

    asked: int
    arrived: int
    p50: float
    p95: float
    cpu: float
    """Processor seconds of the dispatcher."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rounds, one soon after the other."""

    quick: Round
    """All endpoints answer."""
    hanging: Round
    """One in ten does not; of the others."""

    @property
    def ratio(self) -> float:
        """p95 of the others beside what it is when all answer."""
        return self.hanging.p95 / self.quick.p95


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bench webhooks`."""
    parser.add_argument("--rate", type=int, default=1000, help="deliveries a second (default: 1000)")
    parser.add_argument("--seconds", type=int, default=60, help="length of a round (default: 60)")
    parser.add_argument("--endpoints", type=int, default=10, help="endpoints (default: 10)")
    parser.add_argument("--pairs", type=int, default=2, help="pairs of rounds (default: 2)")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured."""
    with TemporaryDirectory(prefix="upscale-bench-") as state:
        pairs = asyncio.run(_measure(arguments, Path(state), config))
    print(f"{arguments.rate} deliveries a second for {arguments.seconds} s to {arguments.endpoints} endpoints")
    for pair in pairs:
        print(line("all answer", pair.quick))
        print(line("one in ten hangs", pair.hanging))
    ratios = [pair.ratio for pair in pairs]
    print(f"p95 of the others, one in ten hanging / none: {statistics.median(ratios):.2f}", end="")
    print(f" ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0


def line(name: str, each: Round) -> str:
    """One round, for a person."""
    late = f"p50 {each.p50:.3f} s, p95 {each.p95:.3f} s"
    cost = f"{each.cpu / each.arrived * 1e6:.0f} us of processor each"
    return f"{name:17} {each.arrived} of {each.asked} arrived, {late}, {cost}"


async def _measure(arguments: argparse.Namespace, state: Path, config: Settings) -> list[Pair]:
    kinds = (0, max(1, arguments.endpoints // 10))
    pairs = []
    for number in range(arguments.pairs):
        # In random order: what slows a machine down while it works hits both alike.
        rounds = {
            hanging: await _one(arguments, state / f"{number}-{hanging}", config, hanging)
            for hanging in random.sample(kinds, len(kinds))
        }
        pairs.append(Pair(*(rounds[hanging] for hanging in kinds)))
    return pairs


async def _one(arguments: argparse.Namespace, folder: Path, config: Settings, hanging: int) -> Round:
    """One round. It has a broker and a database of its own: what hangs in one is not retried in the next."""
    await asyncio.to_thread(folder.mkdir)
    async with (
        _broker(folder, config) as local,
        _receiver(folder, arguments.endpoints) as port,
        dispatcher(folder, local) as dispatching,
        Publisher(local.kafka) as publisher,
    ):
        tenants = await _register(local, port, arguments.endpoints, hanging)
        url = f"http://{LOOPBACK}:{dispatching.local.telemetry.port}/metrics"
        before = await _cpu(url)
        topic, rate, seconds = _topics(local).events.name, arguments.rate, arguments.seconds
        asked = await say_completions(publisher, topic, tenants, rate=rate, seconds=seconds)
        found = await _arrived(port)
        return judged(asked, found, await _cpu(url) - before)


@asynccontextmanager
async def _broker(folder: Path, config: Settings) -> AsyncIterator[Settings]:
    """Topics in memory: a broker that wrote them to a store beside it would have half a processor to itself."""
    opened = config.webhook.model_copy(update={"allow_http": True, "allow_private_addresses": True})
    store = StoreSettings(endpoint="http://127.0.0.1:1", access_key="bench", secret_key=SecretStr("bench"))
    async with embedded_broker(folder) as broker:
        local = pointed_at(config.model_copy(update={"webhook": opened}), broker.servers, store, folder)
        async with administration(local.kafka) as admin:
            await admin.create(_topics(local).all())
        yield local


def _topics(local: Settings) -> Topics:
    return declare(local.kafka.topic_prefix, partitions=local.kafka.partitions)


@asynccontextmanager
async def _receiver(folder: Path, count: int) -> AsyncIterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "pipeline.tools.receiver", str(port), str(count)]
    async with Child("receiver", argv, process_environment(Settings()), folder / "receiver.log") as child:
        await child.ready(lambda: listens(port), 30.0)
        yield port


async def _register(local: Settings, port: int, count: int, hanging: int) -> list[str]:
    """The tenants, one endpoint each. Each has a host of its own, as those of strangers have."""
    tenants = [f"bench-{each}" for each in range(count)]
    async with open_database(local.state) as database, database.write() as connection:
        for index, tenant in enumerate(tenants):
            path = f"/hang/{index}" if index < hanging else f"/{index}"
            await endpoints.register(connection, NewEndpoint(tenant, f"http://127.0.0.{index + 1}:{port}{path}"), 0.0)
    return tenants


async def _arrived(port: int) -> dict[str, list[float]]:
    """For each path how late its calls came, when no more come."""
    deadline, told = time() + BEHIND_SECONDS, dict[str, list[float]]()
    async with aiohttp.ClientSession() as client:
        while time() < deadline:
            before = {path: len(late) for path, late in told.items()}
            async with client.get(f"http://{LOOPBACK}:{port}/latencies") as answer:
                told = await answer.json(content_type=None)
            if before == {path: len(late) for path, late in told.items()}:
                break
            await asyncio.sleep(2.0)
    return told


def judged(asked: int, found: Mapping[str, Sequence[float]], cpu: float) -> Round:
    """What a round showed."""
    quick = [late for path, some in found.items() if not path.startswith("/hang") for late in some]
    arrived = sum(map(len, found.values()))
    return Round(asked, arrived, statistics.median(quick), statistics.quantiles(quick, n=20)[-1], cpu)


async def _cpu(url: str) -> float:
    return total(await scrape(url), "process_cpu_seconds_total")
