"""Records as they lie on their topics, read outside any group from somewhere to somewhere."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from pipeline.kafka.admin import administration, translated
from pipeline.kafka.connection import answering_servers, connect, connection_options, stop_bounded
from pipeline.kafka.ends import end_offsets
from pipeline.kafka.poll import appended_at
from pipeline.settings import KafkaSettings

POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, `end` not included. What has expired or was never written is passed over."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record, not yet understood."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: datetime
    """When it was appended, UTC."""


class Reader:
    """Made by `reading`. One scan at a time."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
        self._consumer = consumer
        self._settings = settings

    async def scan(self, spans: Mapping[TopicPartition, Span]) -> AsyncGenerator[Record, None]:
        """The records of each span in their order, spans interleaved. Raises `ServiceUnreachable` when none comes."""
        left = {partition for partition, span in spans.items() if span.first < span.end}
        self._consumer.assign(left)
        for partition in left:
            self._consumer.seek(partition, spans[partition].first)
        while left:
            for record in await self._next(left):
                if record.offset < spans[TopicPartition(record.topic, record.partition)].end:
                    yield read_record(record)
            async with translated(self._settings):
                done = {each for each in left if await self._consumer.position(each) >= spans[each].end}
            self._consumer.pause(*done)
            left -= done

    async def _next(self, left: set[TopicPartition]) -> list[ConsumerRecord]:
        """At least one record, or none because a position moved without one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.request_timeout_ms / 1000
        async with translated(self._settings):
            before = {partition: await self._consumer.position(partition) for partition in left}
            while loop.time() < deadline:
                found = await self._consumer.getmany(*left, timeout_ms=POLL_MS)
                moved = [each for each in left if await self._consumer.position(each) != before[each]]
                if found or moved:
                    return [record for records in found.values() for record in records]
            raise TimeoutError


@asynccontextmanager
async def reading(settings: KafkaSettings) -> AsyncIterator[Reader]:
    """Raises `ServiceUnreachable`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=await answering_servers(settings),
        **connection_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await connect(settings, consumer.start())
        yield Reader(consumer, settings)
    finally:
        await stop_bounded("reader", consumer.stop())


async def partitions_of(settings: KafkaSettings, *topics: str) -> list[TopicPartition]:
    """Every partition of `topics`. Raises `TopicsMissing` and `ServiceUnreachable`."""
    async with administration(settings) as admin:
        await admin.require(topics)
        facts = await admin.facts()
    return [TopicPartition(topic, number) for topic in topics for number in range(facts[topic].partitions)]


async def whole(settings: KafkaSettings, topic: str) -> dict[TopicPartition, Span]:
    """All of a topic as it is now. Raises as `partitions_of`."""
    ends = await end_offsets(settings, await partitions_of(settings, topic))
    return {partition: Span(0, end) for partition, end in ends.items()}


async def record_at(settings: KafkaSettings, topic: str, partition: int, offset: int) -> Record | None:
    """The record at that place, or None when there is none any more. Raises `ServiceUnreachable`."""
    async with administration(settings) as admin:
        # Asking a broker for a topic that is gone may create it.
        facts = (await admin.facts()).get(topic)
    place = TopicPartition(topic, partition)
    if facts is None or partition >= facts.partitions or offset >= (await end_offsets(settings, [place]))[place]:
        return None
    async with reading(settings) as reader:
        async for record in reader.scan({place: Span(offset, offset + 1)}):
            return record
    return None


def read_record(record: ConsumerRecord) -> Record:
    """An aiokafka record in our words."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    when = appended_at(record.timestamp)
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers, when)
