"""Progress calls: a running job whose request asked for them is told of at least every 15 seconds."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from pipeline.dispatcher import plan
from pipeline.dispatcher.intake import own_endpoints
from pipeline.dispatcher.payload import body_of
from pipeline.errors import PipelineError
from pipeline.patience import wait_until
from pipeline.state import deliveries
from pipeline.state.database import Database
from pipeline.state.jobs import JobRow, status_of
from pipeline.state.records import NewDelivery
from pipeline.state.telling_rows import due_to_tell, told
from pipeline.storage.urls import UrlPolicy

log = structlog.get_logger()

TURN_SECONDS = 1.0
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Teller:
    """Makes the deliveries of progress calls that are due."""

    database: Database
    policy: UrlPolicy
    wake: Callable[[], None]
    now: Callable[[], float]
    """Unix seconds."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`. A database that is away is asked again."""
        while not stopping.is_set():
            try:
                more = await self.turn() == MOST_AT_ONCE
            except PipelineError as error:
                log.warning("telling_failed", error=str(error))
                more = False
            if not more:
                await wait_until(stopping, TURN_SECONDS)

    async def turn(self) -> int:
        """Plan what is due now; how many jobs that were."""
        now = self.now()
        async with self.database.write() as connection:
            due = await due_to_tell(connection, now, MOST_AT_ONCE)
            rows = await told(connection, due, now)
            own = await own_endpoints(connection, rows, self.policy, now)
            calls = [self._call(row, target, now) for row in rows for target in plan.called(row, own.get(row.name))]
            await deliveries.plan(connection, calls)
        if calls:
            self.wake()
        return len(due)

    def _call(self, row: JobRow, target: plan.Target, now: float) -> NewDelivery:
        body = body_of(plan.EVENT_OF_STATE[row.state], now, status_of(row), target.payload)
        return plan.delivery(target, row, plan.telling_id(row), body, now=now, once=True)
