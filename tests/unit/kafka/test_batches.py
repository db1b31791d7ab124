"""What happens to places, commits and polls when partitions move and when the database is away, in virtual time."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.util import commit_structure_validate

from pipeline.errors import ServiceUnreachable, StateUnavailable
from pipeline.kafka.batches import Batches
from pipeline.kafka.consume import GIVE_UP_SECONDS
from pipeline.kafka.offsets import Partition
from pipeline.kafka.scan import Record
from pipeline.settings import KafkaSettings
from pipeline.telemetry import metrics
from pipeline.telemetry.liveness import polling
from tests.support.clock import run_virtual
from tests.support.kafka import make_record

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)
SETTINGS = KafkaSettings(commit_interval_seconds=10.0)


class Member:
    """The client of a member of the group: a partition gives nothing while it is paused, or not ours."""

    def __init__(self) -> None:
        self.ours: set[TopicPartition] = set()
        self.paused: set[TopicPartition] = set()
        self.written: dict[TopicPartition, list[SimpleNamespace]] = {FIRST: [], SECOND: []}
        self.positions = dict.fromkeys(self.written, 0)
        self.commits: list[Mapping[TopicPartition, int]] = []

    def assignment(self) -> set[TopicPartition]:
        return set(self.ours)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        for each in sorted(self.ours - self.paused):
            if records := [one for one in self.written[each] if one.offset >= self.positions[each]][:max_records]:
                self.positions[each] = records[-1].offset + 1
                return {each: records}
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        commit_structure_validate(offsets)
        self.commits.append(offsets)

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    async def seek_to_beginning(self, partition: TopicPartition) -> None:
        self.seek(partition, 0)


class Scene:
    """A reader whose database is a dictionary, which may be away."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self.away = False
        self.places: dict[Partition, int] = {}
        self.taken: list[int] = []
        self.stopping = asyncio.Event()
        self.client = Member()
        self.batches = Batches(SETTINGS, ["events"], self.placed, most=10)
        self.batches._client = self.batches._assigned.client = self.client
        self.assign(*partitions)

    async def placed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        self.ask()
        return {each: self.places[each] for each in partitions if each in self.places}

    async def take(self, records: Sequence[Record]) -> None:
        self.ask()
        self.taken += [each.offset for each in records]
        self.places |= {(each.topic, each.partition): each.offset + 1 for each in records}

    def ask(self) -> None:
        if self.away:
            raise StateUnavailable("away")

    def assign(self, *partitions: TopicPartition) -> None:
        """What a rebalance does: all is taken back, and something is given."""
        self.client.ours, self.client.paused = set(partitions), set()
        self.batches._assigned.on_partitions_assigned(self.client.assignment())

    def say(self, partition: TopicPartition, offset: int) -> None:
        record = make_record(partition.topic, offset, partition=partition.partition)
        self.client.written[partition].append(record)

    async def live(self, course: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as running:
            running.create_task(self.batches.run(self.take, self.stopping))
            await course
            self.stopping.set()


def test_reader_whose_partitions_have_all_gone_elsewhere_goes_on() -> None:
    """aiokafka refuses to commit nothing, with an error that is not one of Kafka's."""

    async def main() -> None:
        scene = Scene(FIRST, SECOND)

        async def course() -> None:
            scene.say(FIRST, 7)
            await asyncio.sleep(5)
            assert scene.client.commits.pop() == {FIRST: 8}
            scene.say(FIRST, 8)
            await asyncio.sleep(1)
            scene.assign(SECOND)
            await asyncio.sleep(60)

        await scene.live(course())
        assert scene.taken == [7, 8]
        assert scene.client.commits == []

    run_virtual(main())


def test_broker_is_told_the_place_of_a_partition_that_returned_and_not_how_far_we_once_were() -> None:
    async def main() -> None:
        scene = Scene(FIRST)

        async def course() -> None:
            for offset in (7, 8):
                scene.say(FIRST, offset)
                await asyncio.sleep(2)
            scene.assign()
            scene.places["events", 0] = 100
            scene.assign(FIRST)
            await asyncio.sleep(60)

        await scene.live(course())
        assert scene.client.commits == [{FIRST: 8}, {FIRST: 100}]

    run_virtual(main())


@pytest.mark.parametrize("known", [False, True])
def test_reader_polls_and_lives_while_the_database_is_away(known: bool) -> None:
    """Whether it went before the places were known or after; to the group it is no rebalance, and nothing is lost."""

    async def main() -> None:
        scene = Scene(FIRST)
        live = polling(scene.batches, asyncio.get_running_loop().time)
        reasons: set[str | None] = set()

        async def course() -> None:
            await asyncio.sleep(5 if known else 0)
            rebalances = metrics.REBALANCES._value.get()
            scene.away = True
            scene.say(FIRST, 7)
            for _ in range(20):
                await asyncio.sleep(10)
                reasons.add(live())
            assert scene.taken == []
            assert metrics.REBALANCES._value.get() == rebalances
            scene.away = False
            await asyncio.sleep(5)

        await scene.live(course())
        assert reasons == {None}
        assert scene.taken == [7]

    run_virtual(main())


def test_reader_gives_up_when_the_database_stays_away() -> None:
    """The process ends, and says why at its next start."""

    async def main() -> float:
        scene = Scene(FIRST)
        scene.away = True
        with pytest.raises(ServiceUnreachable, match="reading has failed for 300 s"):
            await scene.batches.run(scene.take, scene.stopping)
        return asyncio.get_running_loop().time()

    assert GIVE_UP_SECONDS < run_virtual(main()) < GIVE_UP_SECONDS + 5
