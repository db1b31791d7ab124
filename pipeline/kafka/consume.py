"""aiokafka -> a stream of `Received` for each topic: one group, pausing, rebalances, and commits of finished work."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from pipeline.kafka.admin import administration
from pipeline.kafka.commits import Commits
from pipeline.kafka.connection import FETCH_WAIT_MS, connection_options, stop_bounded, unreachable
from pipeline.kafka.handoff import Handoff
from pipeline.kafka.join import join
from pipeline.kafka.membership import Membership
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.poll import Poller, PollFailed
from pipeline.kafka.records import Position, Received
from pipeline.patience import wait_until
from pipeline.settings import KafkaSettings
from schemas.topics import Lane

CAPACITY = 16
"""Records of a topic that wait between the poll loop and intake."""
GIVE_UP_SECONDS = 300.0
"""Joining the group or polling may fail for this long before the process had better be started anew."""
PAUSE_AFTER_SECONDS = 0.2
"""How long a topic's hand-off may be full before fetching for it is paused."""


def consumer_options(settings: KafkaSettings) -> dict[str, Any]:
    """All settings of the consumer. What differs from aiokafka's defaults, and why:

    - `enable_auto_commit` off: it would commit what was handed out, not what is done.
    - `auto_offset_reset` earliest: a new group or expired offsets must not skip requests that were accepted.
    - one assignor: with two, every join of aiokafka is two rebalances.
    - `rebalance_timeout_ms`: its default is the session timeout, which is not what a revocation is measured by.
    - `max_partition_fetch_bytes`: a pause throws away what was fetched, and requests are small.
    - `fetch_max_wait_ms`: while a broker waits to answer about some partitions, the others are not asked about.
    - `metadata_max_age_ms`: new partitions and moved leaders are noticed within a minute.
    - `consumer_timeout_ms`: a resumed partition is fetched from again after at most this long.
    """
    return connection_options(settings) | {
        "group_id": settings.group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.heartbeat_interval_ms,
        "rebalance_timeout_ms": settings.rebalance_timeout_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "max_partition_fetch_bytes": 262_144,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "metadata_max_age_ms": 60_000,
        "consumer_timeout_ms": 50,
    }


class Consumer:
    """The records of each topic, as asynchronous iterators; made for one reader a topic on one event loop.

    `lanes` are the topics to read and the lane that each belongs to; `paused` is told of the lane of each topic,
    again and again, whether the topic is paused.
    Entering joins the group; it raises `ServiceUnreachable` at once when the broker cannot be reached, and
    `TopicsMissing`. Leaving ends the iterations, commits what is finished, leaves the group and takes a bounded time.
    Iterating raises `ServiceUnreachable` when polling has failed for `give_up_seconds`. A topic that nobody reads is
    paused by itself and holds up no other.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        lanes: Mapping[str, Lane],
        ledger: OffsetLedger,
        *,
        paused: Callable[[Lane, bool], None] = lambda lane, paused: None,
        capacity: int = CAPACITY,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._settings = settings
        self._lanes = dict(lanes)
        self._ledger = ledger
        self._paused = paused
        self._give_up_seconds = give_up_seconds
        self._handoffs = {topic: Handoff(capacity) for topic in lanes}
        self._membership = Membership(ledger, self._drop, commit=self._commit, assigned=self._steer)
        self._commits = Commits(ledger, lambda: self._membership.epoch, timeout_seconds=settings.revoke_budget_seconds)
        self._poller = Poller(
            self._lanes, lambda: self._membership.epoch, self._deliver, give_up_seconds=give_up_seconds
        )
        self._stopping = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._client: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        async with administration(self._settings) as admin:
            # Subscribing to a topic that is missing waits for it for a long time, or creates it with other settings.
            await admin.require(tuple(self._lanes))
        client = await join(self._settings, self._create, give_up_seconds=self._give_up_seconds)
        committing = self._commits.every(self._settings.commit_interval_seconds, client, self._stopping)
        self._tasks = {
            "poll loop": asyncio.create_task(self._poll(client)),
            "committer": asyncio.create_task(committing),
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handoff in self._handoffs.values():
            handoff.close()
        self._stopping.set()
        try:
            for name, task in self._tasks.items():
                await stop_bounded(name, task, self._settings.revoke_budget_seconds + 1)
        finally:
            if self._client is not None:
                await stop_bounded("consumer", self._client.stop())

    def streams(self) -> "Iterator[TopicRecords]":
        """The records of each topic."""
        return map(self.topic, self._handoffs)

    def topic(self, topic: str) -> "TopicRecords":
        """The records of one topic. Cancelling a wait for the next loses nothing."""
        return TopicRecords(self._handoffs[topic], self._steer)

    def finish(self, position: Position) -> None:
        """The record's work is done for good: its event is acknowledged, or it is parked. Commits follow."""
        self._ledger.finish(position)

    def pause(self) -> None:
        """Hand out nothing until `resume`. Membership and partitions are kept, through rebalances too."""
        for handoff in self._handoffs.values():
            handoff.hold()
        self._steer()

    def resume(self) -> None:
        for handoff in self._handoffs.values():
            handoff.release()
        self._steer()

    @property
    def last_poll(self) -> float | None:
        """When a poll last succeeded, on the monotonic clock; None before the first. Still during a rebalance."""
        return self._poller.last_poll

    async def behind(self) -> dict[Lane, int]:
        """Records of our partitions that are not finished, by lane. Ends are those of the last fetch, so while a lane
        is paused nothing is added.
        """
        found = dict.fromkeys(Lane, 0)
        client = self._client
        ends = {partition: client.highwater(partition) for partition in client.assignment()} if client else {}
        for partition, end in ends.items():
            # Without an end nothing was fetched yet; without a watermark nothing was handed out.
            if end is not None and client is not None:
                watermark = self._ledger.watermark((partition.topic, partition.partition))
                with suppress(KafkaError):
                    first = await client.position(partition) if watermark is None else watermark
                    found[self._lanes[partition.topic]] += max(0, end - first)
        return found

    def _create(self, servers: list[str]) -> AIOKafkaConsumer:
        """A client that tells our membership of rebalances, from the first one on, which is before it has started."""
        self._client = AIOKafkaConsumer(bootstrap_servers=servers, **consumer_options(self._settings))
        self._client.subscribe(tuple(self._lanes), listener=self._membership)
        return self._client

    def _deliver(self, record: Received) -> None:
        self._ledger.start(record.position)
        self._handoffs[record.position.topic].put(record)

    def _drop(self) -> int:
        return sum(handoff.drop() for handoff in self._handoffs.values())

    def _fail(self, error: Exception) -> None:
        for handoff in self._handoffs.values():
            handoff.fail(error)

    async def _poll(self, client: AIOKafkaConsumer) -> None:
        try:
            await self._poller.run(client, self._make_room, self._stopping)
        except PollFailed as failed:
            self._fail(unreachable(self._settings, str(failed)))
        except Exception as error:
            self._fail(error)
            raise

    async def _commit(self) -> None:
        if self._client is not None:
            await self._commits.commit(self._client)

    async def _make_room(self) -> None:
        """Give the readers a moment before pausing: a pause throws away what was fetched, and then costs a fetch."""
        paused = {partition.topic for partition in self._client.paused()} if self._client else set()
        for topic, handoff in self._handoffs.items():
            if topic not in paused:
                await wait_until(handoff.wanting, PAUSE_AFTER_SECONDS)
        self._steer()

    def _steer(self) -> None:
        """Pause or resume as the hand-offs wish. aiokafka forgets pauses at each rebalance, hence again and again."""
        if self._client is None:
            return
        wanting = {topic for topic, handoff in self._handoffs.items() if handoff.wanting.is_set()}
        paused = self._client.paused()
        unwanted = {each for each in self._client.assignment() if each.topic not in wanting}
        self._client.resume(*(paused - unwanted))
        self._client.pause(*(unwanted - paused))
        for topic in self._handoffs:
            self._paused(self._lanes[topic], topic not in wanting)


class TopicRecords:
    """The records of one topic, until the consumer is left."""

    def __init__(self, handoff: Handoff, taken: Callable[[], None]) -> None:
        self._handoff = handoff
        self._taken = taken

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        record = await self._handoff.take()
        if record is None:
            raise StopAsyncIteration
        self._taken()
        return record
