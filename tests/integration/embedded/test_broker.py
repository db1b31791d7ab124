"""The embedded broker on the embedded store: what a restart of the machine finds."""

import asyncio
import socket
from pathlib import Path

import pytest

from pipeline.embedded.broker import embedded_broker
from pipeline.embedded.process import ChildFailed
from pipeline.embedded.store import embedded_store
from pipeline.settings import KafkaSettings
from schemas.topics import Lane, declare
from tests.support.broker import broker_settings, created_topics
from tests.support.streams import consuming, lane_of, put, take

pytestmark = pytest.mark.integration


def at(settings: KafkaSettings, servers: str) -> KafkaSettings:
    return settings.model_copy(update={"servers": servers})


async def test_broker_on_a_store_finds_records_and_offsets_again_after_a_crash(tmp_path: Path) -> None:
    """What was acknowledged and committed on one machine survives kill -9 of the broker and a restart of the store."""
    settings = broker_settings("unknown yet", prefix="durable")
    topics = declare("durable", partitions=settings.partitions)
    topic = topics.requests[Lane.BULK].name
    async with (
        embedded_store(tmp_path / "store", buckets=("broker",)) as store,
        embedded_broker(tmp_path, store=store.settings) as broker,
    ):
        first = at(settings, broker.servers)
        await created_topics(first)
        await put(first, topic, b"done", b"left")
        async with consuming(first, topics) as consumer:
            done, _ = await take(consumer, 2, Lane.BULK)
            consumer.finish(done.position)
        await broker.child.kill()
    async with (
        asyncio.timeout(60),
        embedded_store(tmp_path / "store", buckets=("broker",)) as store,
        embedded_broker(tmp_path, store=store.settings) as broker,
        consuming(at(settings, broker.servers), topics) as consumer,
    ):
        assert (await anext(lane_of(consumer, Lane.BULK))).value == b"left"


async def test_broker_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """Somebody else's broker on the usual port is not mistaken for ours."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ChildFailed, match=f"cannot have port {port}: something else listens there"):
            async with embedded_broker(tmp_path, port=port):
                pytest.fail("started on a port that is taken")
