"""Guarantees of pipeline.kafka.batches, on both brokers."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest

from pipeline.errors import StateUnavailable
from pipeline.kafka.batches import Batches
from pipeline.kafka.offsets import Partition
from pipeline.kafka.publish import Publisher
from pipeline.kafka.scan import Record
from pipeline.settings import KafkaSettings
from schemas.topics import Topics
from tests.support.streams import committed
from tests.support.waiting import until

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 60.0
MOST = 4


class Kept:
    """A database of offsets and of what was read."""

    def __init__(self, wanted: int, places: Mapping[Partition, int] | None = None) -> None:
        self.places = dict(places or {})
        self.seen: Counter[bytes | None] = Counter()
        self.batches: list[int] = []
        self.failures = 0
        """How often taking fails yet."""
        self.whole = asyncio.Event()
        self._wanted = wanted

    async def placed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {each: self.places[each] for each in partitions if each in self.places}

    async def take(self, records: Sequence[Record]) -> None:
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("away")
        self.batches.append(len(records))
        for each in records:
            self.seen[each.value] += 1
            self.places[each.topic, each.partition] = each.offset + 1
        if len(self.seen) >= self._wanted:
            self.whole.set()


async def said(kafka: KafkaSettings, topic: str, count: int, first: int = 0) -> set[bytes]:
    """So many records, each of its own."""
    values = {b"%d" % number for number in range(first, first + count)}
    async with Publisher(kafka) as publisher:
        for value in values:
            await publisher.send(topic, key=value, value=value, headers=())
    return values


async def read(kafka: KafkaSettings, topic: str, kept: Kept) -> None:
    """Until all that is wanted has been seen."""
    stopping = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS), Batches(kafka, [topic], kept.placed, most=MOST) as batches:
        reading = asyncio.create_task(batches.run(kept.take, stopping))
        await kept.whole.wait()
        stopping.set()
        await reading


async def test_reader_without_a_place_begins_at_the_beginning_and_takes_batches(
    kafka: KafkaSettings, topics: Topics
) -> None:
    values = await said(kafka, topics.events.name, 20)
    kept = Kept(20)
    await read(kafka, topics.events.name, kept)
    assert kept.seen == Counter(values)
    assert max(kept.batches) <= MOST
    assert len(kept.batches) < 20


async def test_reader_goes_on_from_its_own_place_whatever_the_broker_was_told(
    kafka: KafkaSettings, topics: Topics
) -> None:
    """A database that was restored from a backup reads again what it has lost."""
    await said(kafka, topics.events.name, 10)
    kept = Kept(10)
    await read(kafka, topics.events.name, kept)
    restored = Kept(10, dict.fromkeys(kept.places, 0))
    await read(kafka, topics.events.name, restored)
    ahead = Kept(5, kept.places)
    later = await said(kafka, topics.events.name, 5, first=100)
    await read(kafka, topics.events.name, ahead)
    assert restored.seen == kept.seen
    assert ahead.seen == Counter(later)


async def test_broker_is_told_how_far_the_group_is(kafka: KafkaSettings, topics: Topics) -> None:
    """Operators look there, also when nothing comes any more."""
    topic, stopping = topics.events.name, asyncio.Event()
    await said(kafka, topic, 10)
    kept = Kept(10)
    async with asyncio.timeout(PATIENCE_SECONDS), Batches(kafka, [topic], kept.placed, most=MOST) as batches:
        reading = asyncio.create_task(batches.run(kept.take, stopping))

        async def told() -> bool:
            return sum((await committed(kafka, topic)).values()) == 10

        await until(told)
        stopping.set()
        await reading


async def test_batch_that_could_not_be_kept_comes_again(kafka: KafkaSettings, topics: Topics) -> None:
    values = await said(kafka, topics.events.name, 10)
    kept = Kept(10)
    kept.failures = 2
    await read(kafka, topics.events.name, kept)
    assert kept.seen == Counter(values)


async def test_members_share_the_partitions_and_nothing_is_missed_when_one_comes_or_goes(
    kafka: KafkaSettings, topics: Topics
) -> None:
    """Both keep their places in one database, so what one has taken the other does not take again, but for a batch."""
    topic = topics.events.name
    kept, stopping = Kept(30), [asyncio.Event(), asyncio.Event()]
    values = await said(kafka, topic, 10)
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as opened:
        first = await opened.enter_async_context(Batches(kafka, [topic], kept.placed, most=MOST))
        reading = [asyncio.create_task(first.run(kept.take, stopping[0]))]
        async with Batches(kafka, [topic], kept.placed, most=MOST) as second:
            reading.append(asyncio.create_task(second.run(kept.take, stopping[1])))
            values |= await said(kafka, topic, 10, first=10)
            stopping[1].set()
            await reading[1]
        values |= await said(kafka, topic, 10, first=20)
        await kept.whole.wait()
        stopping[0].set()
        await reading[0]
    assert kept.seen.keys() == values
    assert max(kept.seen.values()) <= 2
