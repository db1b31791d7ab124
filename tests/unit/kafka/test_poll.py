"""The poll loop, against a client that follows a script."""

import asyncio
import itertools
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from pipeline.kafka.poll import Poller, PollFailed, appended_at, lane_of_turn
from pipeline.kafka.records import Received
from schemas.topics import Lane
from tests.support.kafka import ScriptedClient, make_record

INTERACTIVE, BULK = TopicPartition("interactive", 0), TopicPartition("bulk", 0)
LANES = {"interactive": Lane.INTERACTIVE, "bulk": Lane.BULK}


class Run:
    """A poll loop whose every turn takes `turn_seconds` on its own clock."""

    def __init__(self, client: ScriptedClient, *, turn_seconds: float = 1.0, give_up_seconds: float = 60.0) -> None:
        self.client = client
        self.records: list[Received] = []
        self.now = 0.0
        self._turn_seconds = turn_seconds
        self.poller = Poller(
            LANES,
            lambda: 3,
            self.records.append,
            give_up_seconds=give_up_seconds,
            back_off=lambda: 0.001,
            now=lambda: self.now,
        )

    async def turns_of(self, count: int) -> list[Received]:
        """Let `count` turns pass; what all turns so far delivered."""
        stopping = asyncio.Event()
        turns = itertools.count(1)

        async def prepare() -> None:
            self.now += self._turn_seconds
            if next(turns) == count:
                stopping.set()

        await self.poller.run(self.client, prepare, stopping)
        return self.records


def stocked(**counts: int) -> ScriptedClient:
    client = ScriptedClient(BULK, INTERACTIVE)
    for topic, count in counts.items():
        client.waiting[TopicPartition(topic, 0)].extend(make_record(topic, offset) for offset in range(count))
    return client


async def test_poller_takes_interactive_records_first_and_a_bulk_record_in_each_ten() -> None:
    """Somebody who waits goes first, and the catalogue still moves."""
    records = await Run(stocked(interactive=30, bulk=30)).turns_of(20)
    assert [record.lane for record in records] == ([Lane.INTERACTIVE] * 9 + [Lane.BULK]) * 2


async def test_poller_takes_bulk_records_when_no_interactive_one_waits() -> None:
    """No turn is wasted on an empty lane."""
    assert len(await Run(stocked(bulk=5)).turns_of(5)) == 5


async def test_poller_takes_records_of_the_only_lane_that_is_assigned() -> None:
    """A member may hold partitions of one lane only."""
    client = ScriptedClient(BULK)
    client.waiting[BULK].append(make_record("bulk"))
    assert len(await Run(client).turns_of(1)) == 1


async def test_poller_says_where_a_record_lay_and_in_which_epoch_it_came() -> None:
    """A position is complete: topic, partition, offset and assignment."""
    client = ScriptedClient(BULK)
    client.waiting[BULK].append(make_record("bulk", 41, headers=(("a", b"1"), ("empty", None)), timestamp=1000))
    [record] = await Run(client).turns_of(1)
    assert (record.position.origin, record.position.epoch) == ("bulk/0/41", 3)
    assert record.headers == (("a", b"1"), ("empty", b""))
    assert record.timestamp == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")])
async def test_poller_survives_an_error_and_goes_on(error: Exception) -> None:
    """Neither a broker that is away for a moment nor a record that cannot be read ends the worker."""
    client = stocked(interactive=1)
    client.errors.append(error)
    assert len(await Run(client).turns_of(2)) == 1


async def test_poller_gives_up_when_it_has_failed_for_too_long() -> None:
    """A worker that will not recover says so instead of looking alive; its supervisor starts a new one."""
    client = stocked()
    client.errors.extend(KafkaConnectionError("gone") for _ in range(100))
    run = Run(client, turn_seconds=10)
    with pytest.raises(PollFailed, match="polling has failed for 60 s: KafkaConnectionError"):
        await run.turns_of(100)
    assert run.now == 70


async def test_poller_forgets_earlier_errors_once_a_poll_succeeds() -> None:
    """Only an unbroken run of failures counts."""
    client = stocked(interactive=1)
    client.errors.extend([KafkaConnectionError("now"), None, KafkaConnectionError("then"), None])
    assert len(await Run(client, turn_seconds=50).turns_of(4)) == 1


async def test_poller_does_not_survive_a_record_that_it_cannot_deliver() -> None:
    """The record would be lost: its offset has passed, and nobody has it."""
    run = Run(stocked(interactive=2))

    def broken(_: Received) -> None:
        raise KeyError("ledger")

    run.poller._deliver = broken
    with pytest.raises(KeyError, match="ledger"):
        await run.turns_of(2)


async def test_poller_tells_when_it_last_succeeded() -> None:
    """Liveness is read from this: it moves with each good poll and stands still with a failed one."""
    client = stocked()
    run = Run(client)
    assert run.poller.last_poll is None
    await run.turns_of(3)
    assert run.poller.last_poll == 3
    client.errors.append(KafkaConnectionError("gone"))
    await run.turns_of(1)
    assert run.poller.last_poll == 3


def test_every_tenth_turn_looks_for_bulk_first() -> None:
    """The bulk lane's guaranteed share of intake is one in ten."""
    assert [lane_of_turn(turn) for turn in range(20)].count(Lane.BULK) == 2


@pytest.mark.parametrize(
    ("milliseconds", "year"), [(-1, 1970), (0, 1970), (1_700_000_000_000, 2023), (2**63 - 1, 9999)]
)
def test_timestamp_of_any_producer_becomes_a_time(milliseconds: int, year: int) -> None:
    """A producer may write what it likes into a timestamp; it must not end the poll loop."""
    assert appended_at(milliseconds).year == year
