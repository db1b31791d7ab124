"""The worker's loop: take a record, settle it, and only then let go of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol

import structlog

from pipeline.errors import ShuttingDown
from pipeline.kafka.records import Position, Received
from pipeline.telemetry import tracing
from schemas.topics import Lane

log = structlog.get_logger()


class Records(Protocol):
    """Where records come from and are let go."""

    def streams(self) -> Iterable[AsyncIterator[Received]]:
        """The records of each topic, until the consumer stops handing out."""

    def finish(self, position: Position) -> None:
        """The record needs no further work: its offset may be committed."""


class Worker:
    """Settles records of all topics side by side, at most `jobs_per_topic` of each.

    `settle` returns when a record may be let go; it raises `ShuttingDown` when it must be handed out again. `in_hand`
    is told of each record that comes (1) and goes (-1).
    """

    def __init__(
        self,
        records: Records,
        settle: Callable[[Received], Awaitable[None]],
        *,
        jobs_per_topic: int,
        in_hand: Callable[[Lane, int], None],
    ) -> None:
        self._records = records
        self._settle = settle
        self._jobs_per_topic = jobs_per_topic
        self._in_hand = in_hand
        self._taking: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Work until the records end or `stop` is called, and what is in hand is finished.

        Cancelling gives up what is in hand: it stays uncommitted and is handed out again elsewhere. Raises what the
        records raise when they end for a reason.
        """
        try:
            async with asyncio.TaskGroup() as jobs:
                self._taking = [jobs.create_task(self._take(each, jobs)) for each in self._records.streams()]
        except BaseExceptionGroup as group:
            # All topics are read from one consumer and end for the same reason; a group would hide what it is.
            raise group.exceptions[0] from group

    def stop(self) -> None:
        """Take no more records; `run` returns when those in hand are finished."""
        for taking in self._taking:
            taking.cancel()

    async def _take(self, records: AsyncIterator[Received], jobs: asyncio.TaskGroup) -> None:
        """A place is taken before a record is, so that a record never waits here while another worker is free."""
        places = asyncio.Semaphore(self._jobs_per_topic)
        while True:
            await places.acquire()
            received = await anext(records, None)
            if received is None:
                return
            jobs.create_task(self._handle(received)).add_done_callback(lambda _: places.release())

    async def _handle(self, received: Received) -> None:
        self._in_hand(received.lane, 1)
        try:
            with tracing.job_span(received.headers):
                await self._settle(received)
            self._records.finish(received.position)
        except ShuttingDown as given_up:
            log.warning("job_given_up", origin=received.position.origin, reason=str(given_up))
        finally:
            self._in_hand(received.lane, -1)
