"""The embedded broker behind a fault proxy.

Clients of Kafka connect where the broker's metadata says, whatever address they began with. So the proxy comes first
and has its port, and the broker is started to advertise that one; a broker of Apache Kafka does the same with
`advertised.listeners=PLAINTEXT://` and `FaultProxy.address`, one proxy for each broker.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pipeline.embedded.broker import Broker, embedded_broker
from pipeline.embedded.process import free_port
from pipeline.settings import StoreSettings
from tests.support.fault_proxy import LOOPBACK, FaultProxy


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
