"""Short ways to put records on a broker and take them off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from pipeline.kafka.admin import administration
from pipeline.kafka.consume import Consumer, TopicRecords
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.settings import KafkaSettings
from pipeline.telemetry import metrics
from schemas.topics import Lane, Topics
from tests.support.waiting import PATIENCE_SECONDS, until


async def put(settings: KafkaSettings, topic: str, *values: bytes, key: bytes | None = b"key") -> None:
    """Publish `values` in order, to one partition unless `key` is None."""
    async with Publisher(settings) as publisher:
        for value in values:
            await publisher.send(topic, key=key, value=value, headers=())


@asynccontextmanager
async def consuming(settings: KafkaSettings, topics: Topics, *, capacity: int = 16) -> AsyncIterator[Consumer]:
    """A consumer with a ledger of its own, and a deadline on all that is done with it."""

    def paused(lane: Lane, now: bool) -> None:
        metrics.INTAKE_PAUSED.labels(lane).set(now)

    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        Consumer(settings, topics.request_lanes, OffsetLedger(), paused=paused, capacity=capacity) as consumer,
    ):
        yield consumer


async def take(consumer: Consumer, count: int, lane: Lane = Lane.INTERACTIVE) -> list[Received]:
    """The next records of one lane."""
    return [await anext(lane_of(consumer, lane)) for _ in range(count)]


def lane_of(consumer: Consumer, lane: Lane) -> TopicRecords:
    """The records of the request topic of `lane`."""
    return consumer.topic(next(topic for topic, its in consumer._lanes.items() if its is lane))


async def committed(settings: KafkaSettings, topic: str) -> dict[int, int]:
    """What the group of `settings` has committed, by partition."""
    partitions = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    async with administration(settings) as admin:
        found = await admin.committed(settings.group, partitions)
    return {each.partition: offset for each, offset in found.items()}


async def until_committed(settings: KafkaSettings, topic: str, reached: Callable[[dict[int, int]], bool]) -> None:
    async def asked() -> bool:
        return reached(await committed(settings, topic))

    await until(asked)
