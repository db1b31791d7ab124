"""A topic read outside any group: by a requester for its own events, by every worker for what concerns all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.kafka.admin import administration, translated
from pipeline.kafka.connection import FETCH_WAIT_MS, answering_servers, connect, connection_options, stop_bounded
from pipeline.kafka.ends import end_offsets
from pipeline.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Followed:
    """One record of the topic."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    origin: str
    """Topic, partition and offset."""


class Follower:
    """Every record of one topic from some point on, without end. Made by `follow`."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
        self._consumer = consumer
        self._settings = settings

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        """Raises `ServiceUnreachable` when the broker is lost."""
        async with translated(self._settings):
            record = await self._consumer.getone()
        headers = tuple((name, value or b"") for name, value in record.headers)
        return Followed(record.value, headers, f"{record.topic}/{record.partition}/{record.offset}")


@asynccontextmanager
async def follow(settings: KafkaSettings, topic: str, *, from_start: bool = False) -> AsyncIterator[Follower]:
    """Follow `topic` from where it ends now, or begins. Raises `ServiceUnreachable`, and `TopicsMissing`."""
    partitions = await _partitions(settings, topic)
    ends = {} if from_start else await end_offsets(settings, partitions)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=await answering_servers(settings),
        **connection_options(settings),
        fetch_max_wait_ms=FETCH_WAIT_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await connect(settings, consumer.start())
        consumer.assign(partitions)
        for partition, end in ends.items():
            consumer.seek(partition, end)
        yield Follower(consumer, settings)
    finally:
        await stop_bounded("follower", consumer.stop())


async def _partitions(settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    async with administration(settings) as admin:
        await admin.require([topic])
        facts = await admin.facts()
    return [TopicPartition(topic, number) for number in range(facts[topic].partitions)]
