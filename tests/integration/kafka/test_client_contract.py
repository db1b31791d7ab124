"""aiokafka on Apache Kafka: the behaviour that pipeline/kafka is built around, shown with the bare client.

Where a test shows a fault of the client, its failing means that the fault is gone and so is the reason to avoid it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Event as ThreadEvent
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError

from pipeline.embedded.broker import Broker
from pipeline.settings import KafkaSettings
from tests.support.broker import broker_settings, created_topics
from tests.support.streams import committed, put
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(apache: Broker) -> KafkaSettings:
    """Settings of Apache Kafka, whose answers are the reason for these tests."""
    return broker_settings(apache.servers)


@pytest.fixture
async def topic(kafka: KafkaSettings) -> str:
    """A topic with two partitions."""
    return (await created_topics(kafka)).events.name


def client(kafka: KafkaSettings, **options: object) -> AIOKafkaConsumer:
    """The bare client, with short timeouts and what a test says otherwise."""
    short = {"session_timeout_ms": 2000, "heartbeat_interval_ms": 300, "rebalance_timeout_ms": 6000}
    fixed = {"group_id": kafka.group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    one = {"partition_assignment_strategy": (RoundRobinPartitionAssignor,)}
    return AIOKafkaConsumer(bootstrap_servers=kafka.servers, **(short | fixed | one | options))


@asynccontextmanager
async def started(consumer: AIOKafkaConsumer, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """`consumer` as a member of its group, and a deadline on all that is done with it."""
    if topics:
        consumer.subscribe(topics)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await consumer.start()
            yield consumer
    finally:
        await consumer.stop()


async def members(kafka: KafkaSettings, group: str) -> int:
    """How many members the broker counts."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.servers)
    try:
        await admin.start()
        [answer] = await admin.describe_consumer_groups([group])
        return len(answer.groups[0][5])
    finally:
        await admin.close()


def count_requests(consumer: AIOKafkaConsumer) -> Counter[str]:
    """What `consumer` sends from now on, by the name of the request."""
    sent: Counter[str] = Counter()
    send = consumer._client.send

    async def counted(node: Any, request: Any, **options: Any) -> Any:
        sent[type(request).__name__.partition("Request")[0]] += 1
        return await send(node, request, **options)

    consumer._client.send = counted
    return sent


async def test_poll_that_is_cancelled_switches_the_clients_watchdog_off(kafka: KafkaSettings, topic: str) -> None:
    """Why the poll loop is never cancelled nor put under a timeout: a member that then hangs keeps its partitions.

    A consumer that stops polling leaves its group by itself; one whose last poll was cancelled stays for ever.
    """
    options = {"max_poll_interval_ms": 1000}
    trapped_group, honest_group = f"{kafka.group}-trapped", f"{kafka.group}-honest"
    async with AsyncExitStack() as stack:
        for group in (trapped_group, honest_group):
            consumer = client(kafka, group_id=group, **options)
            await stack.enter_async_context(started(consumer, topic))
            if group == trapped_group:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(consumer.getone(), 0.05)
            else:
                await consumer.getmany(timeout_ms=50)

        async def honest_has_left() -> bool:
            return await members(kafka, honest_group) == 0

        await until(honest_has_left)
        assert await members(kafka, trapped_group) == 1


class Holding(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Lets go of its partitions only when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        if revoked:
            self.asked.set()
            await self.let_go.wait()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Nothing to do."""


async def test_join_is_abandoned_after_the_request_timeout_although_the_group_still_waits(
    kafka: KafkaSettings, topic: str
) -> None:
    """Why settings demand `rebalance_timeout_ms < request_timeout_ms`: joining is one request, under its timeout.

    While a member takes its time to let go, one that joins patiently asks once; an impatient one again and again.
    """
    holding = Holding()
    holder = client(kafka)
    holder.subscribe([topic], listener=holding)
    async with started(holder):
        patient, impatient = client(kafka, request_timeout_ms=30_000), client(kafka, request_timeout_ms=700)
        sent = [count_requests(each) for each in (patient, impatient)]
        async with AsyncExitStack() as stack:
            starting = [
                asyncio.create_task(stack.enter_async_context(started(each, topic))) for each in (patient, impatient)
            ]
            await holding.asked.wait()

            async def asked_again() -> bool:
                await members(kafka, kafka.group)
                return sent[1]["JoinGroup"] >= 5

            await until(asked_again)
            # The broker answers a member's first join with its name only, hence two.
            assert sent[0]["JoinGroup"] == 2
            holding.let_go.set()
            await asyncio.gather(*starting)


@pytest.mark.parametrize(
    ("assignors", "rebalances"),
    [((RoundRobinPartitionAssignor,), 1), ((RoundRobinPartitionAssignor, RangePartitionAssignor), 2)],
    ids=["one", "two"],
)
async def test_each_assignor_costs_a_rebalance(
    kafka: KafkaSettings, topic: str, assignors: tuple[type, ...], rebalances: int
) -> None:
    """Why the consumer names exactly one: the client joins once for each, and every join is a generation."""
    async with started(client(kafka, partition_assignment_strategy=assignors), topic) as consumer:
        assert consumer._coordinator.generation == rebalances


async def test_commit_of_a_member_that_was_given_up_is_refused(kafka: KafkaSettings, topic: str) -> None:
    """Why a worker that comes back from the dead does no harm: the broker takes no offsets from an old generation."""
    await put(kafka, topic, b"a", b"b")
    joined, given_up = ThreadEvent(), ThreadEvent()

    async def zombie() -> str:
        async with started(client(kafka, session_timeout_ms=1000), topic) as consumer:
            record = await consumer.getone()
            joined.set()
            # Holds up the whole loop, heartbeats too, as a worker does that is stopped in mid-flight.
            given_up.wait(PATIENCE_SECONDS)
            try:
                await consumer.commit({TopicPartition(topic, record.partition): 2})
            except CommitFailedError:
                return "refused"
            return "taken"

    outcome = asyncio.create_task(asyncio.to_thread(asyncio.run, zombie()))
    await asyncio.to_thread(joined.wait, PATIENCE_SECONDS)
    async with started(client(kafka), topic) as heir:
        given_up.set()
        assert await outcome == "refused"
        assert (await heir.getone()).value == b"a"
    assert await committed(kafka, topic) == {}


async def test_pause_is_lost_when_partitions_are_assigned_anew(kafka: KafkaSettings, topic: str) -> None:
    """Why the consumer pauses again after each rebalance, even for partitions that it keeps."""
    assigned: asyncio.Queue[Collection[TopicPartition]] = asyncio.Queue()

    class Telling(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
        def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
            """Nothing to do."""

        def on_partitions_assigned(self, partitions: Collection[TopicPartition]) -> None:
            assigned.put_nowait(partitions)

    paused = client(kafka)
    paused.subscribe([topic], listener=Telling())
    async with started(paused):
        paused.pause(*await assigned.get())
        assert len(paused.paused()) == 2
        async with started(client(kafka), topic):
            kept = await assigned.get()
            assert len(kept) == 1
            assert paused.paused() == set()
