"""How much lies before the readers of each topic, and since when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition

from pipeline.kafka.admin import administration, lag
from pipeline.kafka.ends import end_offsets
from pipeline.kafka.parked import Stock
from pipeline.kafka.scan import Record, Span, partitions_of, reading
from pipeline.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a reader has yet to deal with."""

    messages: int
    oldest: datetime | None
    """When the first of them was appended; None when there is none."""


async def behind(settings: KafkaSettings, group: str, topics: Iterable[str]) -> dict[str, Backlog]:
    """For each topic, what `group` has not committed. What is in work counts. Raises `TopicsMissing`, and
    `ServiceUnreachable`.
    """
    wanted = tuple(topics)
    partitions = await partitions_of(settings, *wanted)
    async with administration(settings) as admin:
        committed = await admin.committed(group, partitions)
    # The ends are asked for last: they grow, and a commit beyond them would count as fewer than none.
    ends = await end_offsets(settings, partitions)
    lags = lag(ends, committed)
    first = {each: Span(ends[each] - count, ends[each]) for each, count in lags.items() if count}
    return summed(wanted, lags, await _heads(settings, first))


async def _heads(settings: KafkaSettings, spans: Mapping[TopicPartition, Span]) -> list[Record]:
    """The first record of each span that still has one."""
    found: dict[TopicPartition, Record] = {}
    if spans:
        async with reading(settings) as reader:
            async for record in reader.scan(spans):
                found.setdefault(TopicPartition(record.topic, record.partition), record)
                if len(found) == len(spans):
                    break
    return list(found.values())


def summed(topics: Iterable[str], lags: Mapping[TopicPartition, int], heads: Iterable[Record]) -> dict[str, Backlog]:
    """Partitions put together to their topics."""
    oldest: dict[str, datetime] = {}
    for record in heads:
        oldest[record.topic] = min(record.timestamp, oldest.get(record.topic, record.timestamp))
    messages = dict.fromkeys(topics, 0)
    for partition, count in lags.items():
        messages[partition.topic] += count
    return {topic: Backlog(count, oldest.get(topic)) for topic, count in messages.items()}


def together(backlogs: Iterable[Backlog]) -> Backlog:
    """Several as one."""
    found = list(backlogs)
    return Backlog(
        sum(each.messages for each in found), min((each.oldest for each in found if each.oldest), default=None)
    )


def open_letters(stock: Stock) -> Backlog:
    """Dead letters have no group: an operator reads them."""
    return Backlog(len(stock.open), min((letter.parked for letter in stock.open), default=None))


async def newest(settings: KafkaSettings, topic: str, most: int) -> list[Record]:
    """About `most` of the newest records of a topic, the same number of each partition. Raises as `behind`."""
    ends = await end_offsets(settings, await partitions_of(settings, topic))
    each = -(-most // len(ends))
    spans = {partition: Span(max(0, end - each), end) for partition, end in ends.items()}
    async with reading(settings) as reader:
        return [record async for record in reader.scan(spans)]
