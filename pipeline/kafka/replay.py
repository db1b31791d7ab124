"""Dead letters back to where they came from. A letter is marked when the broker has what it became, and not before.

A crash between the two leaves it unmarked, and the next run sends it again with the same headers: they name the same
generation of the same job, so the workers do it once and say the same event.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiokafka import TopicPartition

from pipeline.kafka.parked import Letter, Outcome, Place, Stock, mark_headers, stock, understood
from pipeline.kafka.publish import Headers, MessageTooLarge, Publisher
from pipeline.kafka.retry import played_again, with_origin
from pipeline.kafka.scan import Record, Span, reading, record_at, whole
from pipeline.settings import KafkaSettings
from schemas.topics import Topics

AT_A_TIME = 16
"""Letters under way: a broker acknowledges many sends as fast as one."""


@dataclass(frozen=True, slots=True)
class Sent:
    """It is on its topic, and marked."""

    topic: str


@dataclass(frozen=True, slots=True)
class Stays:
    """It cannot be played again, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Dealt:
    """A letter and what became of it."""

    letter: Letter
    end: Sent | Stays


async def take_stock(settings: KafkaSettings, topic: str) -> Stock:
    """Everything on the dead-letter topic, without content. Raises `TopicsMissing` and `ServiceUnreachable`."""
    spans = await whole(settings, topic)
    async with reading(settings) as reader:
        return stock([understood(record) async for record in reader.scan(spans)])


def destination(letter: Letter, topics: Topics) -> str | Stays:
    """The request topic of its lane: what came off a retry topic has waited for long enough."""
    if letter.origin is None:
        return Stays("it does not say which topic it came from")
    lane = (topics.request_lanes | topics.retry_lanes).get(letter.origin.topic)
    if lane is None:
        return Stays(f"it came from {letter.origin.topic}, which is no topic of requests here")
    return topics.requests[lane].name


def back(letter: Letter, record: Record) -> Headers:
    """The headers of `record` on its way back."""
    return played_again(with_origin(record.headers, str(letter.origin)))


class Pace:
    """At most `per_second` turns a second, evenly; None does not hold back."""

    def __init__(
        self,
        per_second: float | None,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._now = now
        self._sleep = sleep
        self._next = now()

    async def turn(self) -> None:
        """Return when the next turn is due. Turns that were missed are not made up for."""
        wait = self._next - self._now()
        self._next = max(self._next, self._now()) + self._gap
        if wait > 0:
            await self._sleep(wait)


class Replay:
    """Plays letters of one dead-letter topic again."""

    def __init__(self, settings: KafkaSettings, topics: Topics, publisher: Publisher) -> None:
        self._settings = settings
        self._topics = topics
        self._publisher = publisher

    async def run(self, letters: Iterable[Letter], pace: Pace, dealt: Callable[[Dealt], None]) -> None:
        """Send each to its topic, mark it, and tell `dealt`. Raises `ServiceUnreachable`, and `JobFailed` with
        BROKER_UNAVAILABLE when one is not acknowledged: it is not marked then, nor are those after it.
        """
        left = {letter.place: letter for letter in letters}
        places = asyncio.Semaphore(AT_A_TIME)

        async def one(letter: Letter, record: Record) -> None:
            dealt(Dealt(letter, await self._one(letter, record)))

        try:
            async with asyncio.TaskGroup() as sending, aclosing(self._contents(left)) as contents:
                async for record in contents:
                    await pace.turn()
                    await places.acquire()
                    letter = left.pop(Place(record.partition, record.offset))
                    sending.create_task(one(letter, record)).add_done_callback(lambda _: places.release())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        for letter in left.values():
            dealt(Dealt(letter, Stays("it has expired meanwhile")))

    async def _contents(self, letters: Mapping[Place, Letter]) -> AsyncGenerator[Record, None]:
        """The records of `letters`, which may shrink meanwhile, as they lie on the topic."""
        topic = self._topics.dead_letters.name
        async with reading(self._settings) as reader, aclosing(reader.scan(spans(topic, letters))) as records:
            async for record in records:
                if Place(record.partition, record.offset) in letters:
                    yield record

    async def _one(self, letter: Letter, record: Record) -> Sent | Stays:
        topic = destination(letter, self._topics)
        if isinstance(topic, Stays):
            return topic
        whole_record = await self._restored(letter, record)
        if isinstance(whole_record, Stays):
            return whole_record
        try:
            await self._publisher.send(
                topic, key=whole_record.key, value=whole_record.value, headers=back(letter, whole_record)
            )
        except MessageTooLarge as error:
            return Stays(error.message)
        await mark(self._publisher, self._topics.dead_letters.name, letter.place, Outcome.REPLAYED)
        return Sent(topic)

    async def _restored(self, letter: Letter, record: Record) -> Record | Stays:
        """The record with its value, which for a letter without one is looked for where the record first lay."""
        if not letter.omitted or letter.origin is None:
            return record
        origin = letter.origin
        found = await record_at(self._settings, origin.topic, origin.partition, origin.offset)
        if found is None or (found.offset, found.timestamp) != (origin.offset, origin.appended):
            return Stays(f"its value of {letter.size} bytes was not parked and is no longer at {origin}")
        return found


async def mark(publisher: Publisher, topic: str, place: Place, outcome: Outcome) -> None:
    """Return once the letter at `place` is marked. Raises `JobFailed` with BROKER_UNAVAILABLE."""
    await publisher.send(topic, key=str(place).encode(), value=b"", headers=mark_headers(place, outcome))


def spans(topic: str, places: Iterable[Place]) -> dict[TopicPartition, Span]:
    """From the first to the last place of each partition."""
    found: dict[TopicPartition, Span] = {}
    for place in places:
        partition = TopicPartition(topic, place.partition)
        known = found.get(partition, Span(place.offset, place.offset + 1))
        found[partition] = Span(min(known.first, place.offset), max(known.end, place.offset + 1))
    return found
