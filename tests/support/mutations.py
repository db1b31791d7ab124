"""Seeded bugs: rules of the stream that a worker under test breaks on purpose. Each must be caught by the fault suite.

They are applied to the process of that worker and never undone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pipeline.kafka.consume import Consumer
from pipeline.kafka.deadletter import Why
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.records import Position, Received
from pipeline.settings import StoreSettings
from pipeline.storage import client, jobs
from pipeline.storage.client import Store
from pipeline.storage.jobs import Rules
from pipeline.worker import claims
from pipeline.worker.loop import Worker
from pipeline.worker.outbox import Outbox
from pipeline.worker.verdict import Again
from schemas.events import Event, EventData, event_from

LATER_SECONDS = 2.0
"""A produce that nobody waits for happens this much later: long after the commit, as on a slow line."""


class Mutation(StrEnum):
    """Which rule is broken."""

    COMMIT_BEFORE_UPLOAD = "commit before upload"
    COMMIT_HIGHEST = "commit highest instead of lowest"
    RANDOM_EVENT_ID = "random event id"
    OVERWRITE = "overwrite PUT"
    NO_START_COUNTER = "no start counter"
    LAST_START_IN_COMPANY = "last start beside others"
    RETRY_AFTER_COMMIT = "retry produced after commit"
    DEAD_LETTER_NOT_AWAITED = "dead-letter produce not awaited"
    PAUSE_LOST = "pause lost after a rebalance"
    NO_POLL_WHILE_DRAINING = "poll stopped while draining"


def apply(mutation: Mutation) -> None:
    """Break the rule in this process."""
    _MUTATIONS[mutation]()


def _commit_before_upload() -> None:
    handle = Worker._handle

    async def committed_first(self: Worker, received: Received) -> None:
        self._records.finish(received.position)
        await handle(self, received)

    Worker._handle = committed_first  # type: ignore[method-assign]


def _commit_highest() -> None:
    finish = OffsetLedger.finish

    def finished_with_all_before(self: OffsetLedger, position: Position) -> None:
        finish(self, position)
        if self._is_ours(position) and (progress := self._progress.get((position.topic, position.partition))):
            progress.in_flight = {offset for offset in progress.in_flight if offset > position.offset}

    OffsetLedger.finish = finished_with_all_before  # type: ignore[method-assign]


def _random_event_id() -> None:
    derived = event_from

    def drawn(data: EventData, **told: Any) -> Event:
        return derived(data, **told).model_copy(update={"id": str(uuid4())})

    claims.event_from = drawn  # type: ignore[attr-defined]


def _overwrite() -> None:
    """Every write of an object, whoever wrote it before."""
    connect = client.connect

    @asynccontextmanager
    async def careless(settings: StoreSettings) -> AsyncIterator[Store]:
        async with connect(settings) as store:
            write = store.s3.put_object

            async def unconditional(**told: Any) -> Any:
                return await write(**{name: value for name, value in told.items() if not name.startswith("If")})

            store.s3.put_object = unconditional  # type: ignore[method-assign]
            yield store

    client.connect = careless


def _no_start_counter() -> None:
    def uncounted(rules: Rules, starts: int) -> dict[str, Any]:
        del starts
        return {"owner": rules.owner, "starts": 0}

    jobs._working = uncounted


def _last_start_in_company() -> None:
    judge = jobs.judge
    jobs.judge = lambda *told, alone: judge(*told, alone=True)


def _retry_after_commit() -> None:
    hand_on = Outbox.hand_on

    async def later(self: Outbox, received: Received, again: Again) -> None:
        _later(hand_on(self, received, again))

    Outbox.hand_on = later  # type: ignore[method-assign]


def _dead_letter_not_awaited() -> None:
    park = Outbox.park

    async def later(self: Outbox, received: Received, why: Why) -> None:
        _later(park(self, received, why))

    Outbox.park = later  # type: ignore[method-assign]


_under_way: set[asyncio.Task[None]] = set()


def _later(produce: Coroutine[Any, Any, None]) -> None:
    async def produced() -> None:
        await asyncio.sleep(LATER_SECONDS)
        await produce

    task = asyncio.create_task(produced())
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


def _pause_lost() -> None:
    """Pauses are told to the client when they change, and not again when it has forgotten them."""
    steer = Consumer._steer
    told: dict[int, frozenset[str]] = {}

    def steered_on_change(self: Consumer) -> None:
        wanting = frozenset(topic for topic, handoff in self._handoffs.items() if handoff.wanting.is_set())
        if told.get(id(self)) != wanting:
            told[id(self)] = wanting
            steer(self)

    Consumer._steer = steered_on_change  # type: ignore[method-assign]


def _no_poll_while_draining() -> None:
    stop = Worker.stop

    def stopped(self: Worker) -> None:
        stop(self)
        if isinstance(self._records, Consumer):
            self._records._stopping.set()

    Worker.stop = stopped  # type: ignore[method-assign]


_MUTATIONS: dict[Mutation, Callable[[], None]] = {
    Mutation.COMMIT_BEFORE_UPLOAD: _commit_before_upload,
    Mutation.COMMIT_HIGHEST: _commit_highest,
    Mutation.RANDOM_EVENT_ID: _random_event_id,
    Mutation.OVERWRITE: _overwrite,
    Mutation.NO_START_COUNTER: _no_start_counter,
    Mutation.LAST_START_IN_COMPANY: _last_start_in_company,
    Mutation.RETRY_AFTER_COMMIT: _retry_after_commit,
    Mutation.DEAD_LETTER_NOT_AWAITED: _dead_letter_not_awaited,
    Mutation.PAUSE_LOST: _pause_lost,
    Mutation.NO_POLL_WHILE_DRAINING: _no_poll_while_draining,
}
