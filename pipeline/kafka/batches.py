"""Topics read by a group, many records at a time, from offsets that are kept elsewhere than on the broker.

The reader of a database keeps its offsets in the same transaction as what it made of the records, so a partition is
read from there. What is committed to the broker only tells operators how far the group is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.errors import PipelineError
from pipeline.kafka.admin import administration
from pipeline.kafka.connection import stop_bounded, unreachable
from pipeline.kafka.consume import GIVE_UP_SECONDS, consumer_options
from pipeline.kafka.join import join
from pipeline.kafka.offsets import Partition
from pipeline.kafka.poll import POLL_MS
from pipeline.kafka.scan import Record, read_record
from pipeline.patience import jittered_back_off, wait_until
from pipeline.settings import KafkaSettings
from pipeline.telemetry import metrics

log = structlog.get_logger(__name__)

LINGER_SECONDS = 0.04
"""After a batch that was not full: what comes meanwhile is taken together."""
MAX_PARTITION_FETCH_BYTES = 1_048_576
"""Events are taken at once and nothing is thrown away by pausing, unlike requests."""

Places = Callable[[Collection[Partition]], Awaitable[Mapping[Partition, int]]]
"""The next offset of each partition that one is kept of. May raise `PipelineError` for what passes."""
Take = Callable[[Sequence[Record]], Awaitable[None]]
"""Returns when the records and their offsets are kept; a batch that was taken before changes nothing. May raise
`PipelineError` for what passes: the same records come again."""


class Batches:
    """One member of the group.

    Entering joins it; raises `ServiceUnreachable` and `TopicsMissing`. Partitions wait, paused, until their places are
    known, so no record is taken from anywhere else. Leaving it takes a bounded time.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str], places: Places, *, most: int) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._places = places
        self._most = most
        self._assigned = _Assigned()
        self._client: AIOKafkaConsumer | None = None
        self._reached: dict[TopicPartition, int] = {}
        """What is to be committed: the next offset of partitions that were placed or read since the last commit."""
        self._commit_at = 0.0
        self.last_poll: float | None = None
        """When a poll last succeeded, on the event loop's clock; None before the first."""

    async def __aenter__(self) -> Self:
        async with administration(self._settings) as admin:
            await admin.require(self._topics)
        self._client = await join(self._settings, self._create, give_up_seconds=GIVE_UP_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await stop_bounded("consumer", self._client.stop())

    async def run(self, take: Take, stopping: asyncio.Event) -> None:
        """Hand every batch to `take` until `stopping`. Raises `ServiceUnreachable` when polling fails for long.

        Whatever fails, partitions go back to their kept places: records that were polled and not taken come again.
        """
        loop = asyncio.get_running_loop()
        well = loop.time()
        while not stopping.is_set():
            try:
                await self._turn(take)
                well = loop.time()
            except (KafkaError, PipelineError) as error:
                log.warning("batch_failed", error=repr(error))
                metrics.POLL_FAILURES.inc()
                if loop.time() - well > GIVE_UP_SECONDS:
                    raise unreachable(self._settings, f"reading has failed for {GIVE_UP_SECONDS:g} s") from error
                self._assigned.displace()
                await wait_until(stopping, jittered_back_off())

    async def _turn(self, take: Take) -> None:
        client = self._client
        if client is None:
            raise RuntimeError("not joined: use `async with`")
        # Polled first: while the places cannot be had all is paused, and the group still wants to hear of us.
        # Never cancelled: after one aborted poll aiokafka takes us for polling for ever.
        found = await client.getmany(timeout_ms=POLL_MS, max_records=self._most)
        self.last_poll = asyncio.get_running_loop().time()
        if self._assigned.unplaced:
            await self._place(client)
        if not found:
            await self._commit(client)
            return
        await take([read_record(record) for records in found.values() for record in records])
        self._reached |= {each: records[-1].offset + 1 for each, records in found.items()}
        await self._commit(client)
        if sum(map(len, found.values())) < self._most:
            await asyncio.sleep(LINGER_SECONDS)

    async def _place(self, client: AIOKafkaConsumer) -> None:
        """What was reached before is out of date: others may have read further since."""
        unplaced = self._assigned.unplaced & client.assignment()
        places = await self._places({(each.topic, each.partition) for each in unplaced})
        for each in unplaced & client.assignment():
            place = places.get((each.topic, each.partition))
            if place is None:
                self._reached.pop(each, None)
                await client.seek_to_beginning(each)
            else:
                self._reached[each] = place
                client.seek(each, place)
        client.resume(*(unplaced & client.assignment()))
        self._assigned.unplaced -= unplaced

    async def _commit(self, client: AIOKafkaConsumer) -> None:
        """Now and then, of what is ours and placed; nothing depends on it."""
        now = asyncio.get_running_loop().time()
        placed = client.assignment() - self._assigned.unplaced
        ours = {each: self._reached[each] for each in self._reached.keys() & placed}
        if not ours or now < self._commit_at:
            return
        self._commit_at, self._reached = now + self._settings.commit_interval_seconds, {}
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(self._settings.revoke_budget_seconds):
                await client.commit(ours)

    def _create(self, servers: list[str]) -> AIOKafkaConsumer:
        options = consumer_options(self._settings) | {"max_partition_fetch_bytes": MAX_PARTITION_FETCH_BYTES}
        client = AIOKafkaConsumer(bootstrap_servers=servers, **options)
        self._assigned.client = client
        client.subscribe(self._topics, listener=self._assigned)
        return client


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Pauses what is assigned before its first fetch."""

    def __init__(self) -> None:
        self.unplaced: set[TopicPartition] = set()
        self.client: AIOKafkaConsumer | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.unplaced -= revoked

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._displace(assigned)
        metrics.REBALANCES.inc()
        log.info("partitions_assigned", partitions=len(assigned))

    def displace(self) -> None:
        """Everything is to be placed anew."""
        if self.client is not None:
            self._displace(self.client.assignment())

    def _displace(self, partitions: set[TopicPartition]) -> None:
        self.unplaced |= partitions
        if self.client is not None:
            self.client.pause(*partitions)
