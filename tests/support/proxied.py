"""The embedded broker and store behind fault proxies.

Clients of Kafka connect where the broker's metadata says, whatever address they began with. So the proxy comes first
and has its port, and the broker is started to advertise that one; a broker of Apache Kafka does the same with
`advertised.listeners=PLAINTEXT://` and `FaultProxy.address`, one proxy for each broker.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedded.broker import Broker, embedded_broker
from pipeline.embedded.process import free_port
from pipeline.embedded.stack import PARTITIONS, pointed_at
from pipeline.embedded.store import embedded_store
from pipeline.kafka.admin import administration
from pipeline.settings import Settings, StoreSettings
from schemas.topics import declare
from tests.support.deployment_local import CONFIG
from tests.support.fault_proxy import LOOPBACK, FaultProxy
from tests.support.s3_faults import FaultyStore, faulty_store


@asynccontextmanager
async def proxied_broker(
    log_folder: Path, *, seed: int = 0, store: StoreSettings | None = None, bucket: str = "broker"
) -> AsyncIterator[tuple[Broker, FaultProxy]]:
    """A broker whose clients all come through the proxy; its `servers` are the proxy's address."""
    port = free_port()
    async with (
        FaultProxy((LOOPBACK, port), seed=seed) as proxy,
        embedded_broker(log_folder, port=port, advertised=proxy.address, store=store, bucket=bucket) as broker,
    ):
        yield broker, proxy


@dataclass(frozen=True, slots=True)
class ProxiedDeployment:
    """A broker and a store, and two ways to them."""

    direct: Settings
    """For the test itself: nothing on this way breaks but the broker's, whose clients all come through the proxy."""
    workers: Settings
    broker_line: FaultProxy
    store_line: FaultyStore


@asynccontextmanager
async def proxied_deployment(folder: Path, *, seed: int = 0) -> AsyncIterator[ProxiedDeployment]:
    """Broker, store, topics and bucket, with a proxy before each of the two servers. Both pass, at first."""
    async with (
        embedded_store(folder / "store", buckets=(CONFIG.store.bucket,)) as store,
        faulty_store(store.settings.endpoint or "", seed=seed) as store_line,
        proxied_broker(folder, seed=seed) as (broker, broker_line),
    ):
        direct = pointed_at(CONFIG, broker.servers, store.settings, folder)
        async with administration(direct.kafka) as admin:
            await admin.create(declare(direct.kafka.topic_prefix, partitions=PARTITIONS).all())
        workers = pointed_at(
            CONFIG, broker.servers, store.settings.model_copy(update={"endpoint": store_line.url}), folder
        )
        yield ProxiedDeployment(direct, workers, broker_line, store_line)
