"""Guarantees of pipeline.worker.returns."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.kafka.records import Position, Received
from pipeline.kafka.retry import Headers, handed_on
from pipeline.worker.loop import Worker
from pipeline.worker.returns import longest_wait, put_back, seconds_until
from schemas import topics
from schemas.topics import TIERS, Lane, Tier, declare
from tests.support.clock import run_virtual
from tests.support.requests import make_received

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def waits(headers: Headers, *, later: float = 0.0) -> tuple[list[float], list[Received]]:
    """How long a record with `headers` waits, `later` seconds after NOW, and what is published then."""
    slept: list[float] = []
    published: list[Received] = []

    async def sleep(seconds: float) -> None:
        assert not published
        slept.append(seconds)

    async def publish(record: Received) -> None:
        published.append(record)

    await put_back(make_received(headers=headers), publish, lambda: NOW + timedelta(seconds=later), sleep)
    return slept, published


async def test_record_is_put_back_when_it_is_due_and_not_before() -> None:
    """As it came, once."""
    headers = handed_on((), attempt=2, tier=TIERS[1], reason="source_timeout", now=NOW)
    slept, published = await waits(headers, later=100.0)
    assert slept == [TIERS[1].delay_seconds - 100.0]
    assert [record.headers for record in published] == [headers]


@pytest.mark.parametrize("later", [30.0, 31.0, 1e6])
async def test_record_that_is_overdue_is_put_back_at_once(later: float) -> None:
    """No worker was there when it fell due."""
    slept, published = await waits(handed_on((), attempt=2, tier=TIERS[0], reason="leased", now=NOW), later=later)
    assert (slept, len(published)) == ([0.0], 1)


@pytest.mark.parametrize("headers", [(), ((topics.NOT_BEFORE, b"soon"),)])
async def test_record_that_does_not_say_when_is_put_back_at_once(headers: Headers) -> None:
    """A stranger put it there."""
    slept, published = await waits(headers)
    assert (slept, len(published)) == ([0.0], 1)


@pytest.mark.parametrize("moment", [NOW + timedelta(days=365), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("tier", TIERS)
def test_no_record_waits_longer_than_its_tier(moment: datetime, tier: Tier) -> None:
    """A clock that is wrong, or a stranger, does not put a job off for longer than any other record there."""
    topic = declare("any").retries[Lane.BULK][TIERS.index(tier)].name
    assert seconds_until(moment, NOW, longest_wait(topic)) == tier.delay_seconds


def test_records_that_wait_for_long_take_no_place_of_one_that_is_due() -> None:
    """The tiers of a lane are topics of one consumer, and their records wait side by side."""
    soon, *_, late = (topic.name for topic in declare().retries[Lane.BULK])
    back: list[str] = []

    class Retries:
        def streams(self) -> Iterator[AsyncIterator[Received]]:
            return map(self._topic, (late, soon))

        async def _topic(self, topic: str) -> AsyncIterator[Received]:
            for offset in range(5):
                yield make_received(topic=topic, offset=offset, lane=Lane.BULK)

        def finish(self, position: Position) -> None:
            back.append(position.topic)

    async def settle(record: Received) -> None:
        await asyncio.sleep(longest_wait(record.position.topic))

    worker = Worker(Retries(), settle, jobs_per_topic=2, in_hand=lambda lane, change: None)
    run_virtual(worker.run())
    assert back == [soon] * 5 + [late] * 5


def test_record_on_a_topic_of_no_tier_waits_no_longer_than_the_longest() -> None:
    """Whoever put it there may name any time."""
    assert longest_wait("any.requests.bulk") == TIERS[-1].delay_seconds
