"""How far groups have read, against a real broker."""

import asyncio

import pytest
from aiokafka import TopicPartition

from pipeline.kafka.admin import administration, lag
from pipeline.kafka.ends import end_offsets
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from schemas.topics import Lane, Topics
from tests.support.streams import consuming, lane_of, put

pytestmark = pytest.mark.integration


async def test_end_offsets_count_batches_and_empty_partitions(kafka: KafkaSettings, topics: Topics) -> None:
    """Whatever way records were sent, and where none were."""
    single, batched = topics.requests[Lane.INTERACTIVE].name, topics.requests[Lane.BULK].name
    await put(kafka, single, b"a", b"b", b"c")
    async with Publisher(kafka) as publisher:
        sends = [publisher.send(batched, key=b"key", value=b"x", headers=()) for _ in range(100)]
        await asyncio.gather(*sends)
    partitions = [TopicPartition(topic, number) for topic in (single, batched) for number in range(2)]
    ends = await end_offsets(kafka, partitions)
    assert sorted(ends[each] for each in partitions if each.topic == single) == [0, 3]
    assert sorted(ends[each] for each in partitions if each.topic == batched) == [0, 100]


async def test_no_partitions_have_no_ends(kafka: KafkaSettings) -> None:
    """Nothing is asked of the broker for nothing."""
    assert await end_offsets(kafka, []) == {}


async def test_lag_falls_to_nothing_when_all_is_finished(kafka: KafkaSettings, topics: Topics) -> None:
    """What an operator scales by: ends less committed offsets."""
    topic = topics.requests[Lane.BULK].name
    partitions = [TopicPartition(topic, number) for number in range(kafka.partitions)]
    await put(kafka, topic, b"a", b"b")

    async def lagging() -> int:
        async with administration(kafka) as admin:
            committed = await admin.committed(kafka.group, partitions)
        return sum(lag(await end_offsets(kafka, partitions), committed).values())

    assert await lagging() == 2
    async with consuming(kafka, topics) as consumer:
        for _ in range(2):
            consumer.finish((await anext(lane_of(consumer, Lane.BULK))).position)
    assert await lagging() == 0
