"""The poll loop: only polls, so that the group never takes us for dead while jobs run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer

from pipeline.errors import PipelineError
from pipeline.kafka.records import Position, Received
from pipeline.patience import jittered_back_off, wait_until
from pipeline.telemetry import metrics
from schemas.topics import Lane

POLL_MS = 200
BULK_EVERY = 10
"""Each tenth record is looked for in the bulk lane first, so that it is never starved altogether."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MILLISECOND = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)

log = structlog.get_logger(__name__)


class PollFailed(PipelineError):
    """Polling has failed for longer than is worth waiting for."""


class Poller:
    """Polls one record at a time and gives each to `deliver`.

    One at a time, because when a record cannot be read aiokafka forgets the others that it took out in the same
    call, and they would never be handed out although their offsets pass.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        epoch: Callable[[], int],
        deliver: Callable[[Received], None],
        *,
        give_up_seconds: float,
        back_off: Callable[[], float] = jittered_back_off,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.last_poll: float | None = None
        """When a poll last succeeded, or else when polling began; None before that."""
        self._lanes = lanes
        self._epoch = epoch
        self._deliver = deliver
        self._give_up_seconds = give_up_seconds
        self._back_off = back_off
        self._now = now

    async def run(
        self, client: AIOKafkaConsumer, prepare: Callable[[], Awaitable[None]], stopping: asyncio.Event
    ) -> None:
        """Poll until `stopping`, awaiting `prepare` before each turn. Raises `PollFailed`.

        Whatever a poll raises is survived at first: one partition that cannot be read must not stop the others.
        It must not be cancelled while the client is to be used again, nor wrapped in a timeout: after one aborted
        poll aiokafka takes us for polling for ever and its watchdog is off.
        """
        failing_since: float | None = None
        turn, self.last_poll = 0, self._now()
        while not stopping.is_set():
            await prepare()
            try:
                records = await self._poll(client, lane_of_turn(turn))
            except Exception as error:
                metrics.POLL_FAILURES.inc()
                log.warning("poll_failed", error=repr(error))
                failing_since = self._now() if failing_since is None else failing_since
                if self._now() - failing_since >= self._give_up_seconds:
                    raise PollFailed(f"polling has failed for {self._give_up_seconds:g} s: {error!r}") from error
                await wait_until(stopping, self._back_off())
            else:
                failing_since, self.last_poll = None, self._now()
                for record in records:
                    self._deliver(record)
                turn += len(records)

    async def _poll(self, client: AIOKafkaConsumer, lane: Lane) -> list[Received]:
        """At most one record, of `lane` if it has one."""
        first = [partition for partition in client.assignment() if self._lanes[partition.topic] is lane]
        found = await client.getmany(*first, timeout_ms=0, max_records=1) if first else {}
        found = found or await client.getmany(timeout_ms=POLL_MS, max_records=1)
        # No await from the poll to the stamp and on to delivery: the epoch is the one the record was fetched in.
        records = [record for batch in found.values() for record in batch]
        return [received(record, self._lanes[record.topic], self._epoch()) for record in records]


def lane_of_turn(turn: int) -> Lane:
    """Which lane the `turn`-th record is looked for in first."""
    return Lane.BULK if turn % BULK_EVERY == BULK_EVERY - 1 else Lane.INTERACTIVE


def received(record: Any, lane: Lane, epoch: int) -> Received:
    """An aiokafka record in our words."""
    return Received(
        position=Position(record.topic, record.partition, record.offset, epoch),
        lane=lane,
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
        timestamp=appended_at(record.timestamp),
    )


def appended_at(milliseconds: int) -> datetime:
    """A record's timestamp, which its producer may have set to anything, brought into the range of years we have."""
    return EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), LAST_MILLISECOND))
