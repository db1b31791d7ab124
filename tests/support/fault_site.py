"""Where the fault suite plays: three brokers of Apache Kafka with two ways to each, a store, and a nursery of workers.

All timeouts that the guarantee rests on are a fifth of their defaults, in their proportions, so that a row takes a
minute instead of five. One site serves many scenes; each has topics, groups and a bucket of its own.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient

from pipeline.embedded.process import free_ports
from pipeline.embedded.store import embedded_store
from pipeline.kafka.admin import administration
from pipeline.settings import (
    FetchSettings,
    IntakeSettings,
    KafkaSettings,
    Settings,
    StoreSettings,
    TelemetrySettings,
)
from pipeline.storage.client import connect, ensure_bucket
from schemas.topics import Topics, declare
from tests.support.apache_kafka.broker import Cluster, apache_kafka
from tests.support.apache_kafka.detour import Detour
from tests.support.fault_proxy import LOOPBACK, PASS, FaultProxy
from tests.support.nurslings import Nursery, nursery
from tests.support.s3_faults import HEALTHY, FaultyStore, faulty_store

BROKERS = 3
PACE = 5
"""What defaults are divided by."""
PARTITIONS = 3
IN_HAND = 8
"""Jobs of a lane that a worker takes."""


@dataclass(frozen=True, slots=True)
class Site:
    """Made by `site`."""

    cluster: Cluster
    lines: tuple[FaultProxy, ...]
    """The second way to each broker."""
    store: StoreSettings
    store_line: FaultyStore
    nursery: Nursery

    @property
    def lined_servers(self) -> str:
        """Bootstrap servers of those who come through the lines."""
        return ",".join(line.address for line in self.lines)

    async def heal(self) -> None:
        """Undo whatever a scene has left broken."""
        self.store_line.switch(HEALTHY)
        for line in self.lines:
            line.switch(PASS)
        for broker in self.cluster.brokers:
            if broker.child.running:
                broker.thaw()
            else:
                await broker.start()
        await asyncio.gather(*(broker.ready() for broker in self.cluster.brokers))


@asynccontextmanager
async def site(folder: Path, *, seed: int) -> AsyncIterator[Site]:
    """A site that works. Raises as `apache_kafka` does."""
    async with AsyncExitStack() as opened:
        ports = free_ports(BROKERS)
        lines = [await opened.enter_async_context(FaultProxy((LOOPBACK, port), seed=seed)) for port in ports]
        detours = [Detour(port, line.address) for port, line in zip(ports, lines, strict=True)]
        bearing = asyncio.ensure_future(opened.enter_async_context(nursery(folder)))
        store = (await opened.enter_async_context(embedded_store(folder / "store", buckets=("first",)))).settings
        store_line = await opened.enter_async_context(faulty_store(store.endpoint or "", seed=seed))
        cluster = await opened.enter_async_context(apache_kafka(folder, brokers=BROKERS, detours=detours))
        yield Site(cluster, tuple(lines), store, store_line, await bearing)


@asynccontextmanager
async def plot(place: Site) -> AsyncIterator[Settings]:
    """Topics, groups and a bucket that nobody else has; the settings are of those who go straight to both servers."""
    name = f"f-{uuid4().hex[:8]}"
    kafka = KafkaSettings(
        servers=place.cluster.servers,
        topic_prefix=name,
        group=name,
        partitions=PARTITIONS,
        replication_factor=BROKERS,
        session_timeout_ms=30_000 // PACE,
        heartbeat_interval_ms=3_000 // PACE,
        rebalance_timeout_ms=20_000 // PACE,
        request_timeout_ms=30_000 // PACE,
        max_poll_interval_ms=60_000 // PACE,
        revoke_budget_seconds=5.0 / PACE,
        publish_timeout_seconds=15.0 / PACE,
        commit_interval_seconds=1.0 / PACE,
    )
    patience = {"connect_timeout_seconds": 5.0 / PACE, "read_timeout_seconds": 30.0 / PACE}
    store = place.store.model_copy(update={"bucket": name, **patience})
    async with connect(store) as client:
        await ensure_bucket(client)
    topics = declare(kafka.topic_prefix, partitions=kafka.partitions)
    async with administration(kafka) as admin:
        await admin.create(topics.all())
    yield Settings(
        kafka=kafka,
        store=store,
        fetch=FetchSettings(allow_http=True, allow_private_addresses=True),
        intake=IntakeSettings(max_jobs=IN_HAND, lease_seconds=15.0 / PACE, drain_seconds=90.0 / PACE),
        telemetry=TelemetrySettings(log_level="info", port=0),
    )
    await clear(kafka, topics)


async def clear(kafka: KafkaSettings, topics: Topics) -> None:
    """Brokers get slow with the topics of all scenes before."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    await client.start()
    try:
        await client.delete_topics([topic.name for topic in topics.all()])
    finally:
        await client.close()
