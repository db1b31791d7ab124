"""What the dispatcher does beside delivering: gauges, telling of disabled endpoints, and throwing away what is old."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.errors import PipelineError, StateUnavailable
from pipeline.patience import wait_until
from pipeline.state import endpoints
from pipeline.state.database import Connection, Database
from pipeline.state.forget import forget_deliveries, forget_jobs
from pipeline.state.records import Endpoint
from pipeline.state.waiting import disabled_count, oldest_due
from pipeline.telemetry import metrics
from schemas.events import Event, WebhookEndpointDisabled, event_from

log = structlog.get_logger()

TURN_SECONDS = 2.0
PRUNE_SECONDS = 600.0
ROWS = 10_000
"""Pruned in one transaction, which others may have to wait for."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is over stays, in seconds."""

    deliveries: float
    jobs: float


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Runs beside the attempts."""

    database: Database
    say: Callable[[Event], Awaitable[None]]
    """Publish an event; returns when the broker has it."""
    event_source: str
    keep: Keep
    now: Callable[[], float]
    """Unix seconds."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`. What fails is tried again at the next turn."""
        pruned = float("-inf")
        while not stopping.is_set():
            try:
                await self.measure()
                await self.announce()
                if self.now() - pruned > PRUNE_SECONDS:
                    more = await self.prune()
                    pruned = pruned if more else self.now()
            except PipelineError as error:
                log.warning("upkeep_failed", error=str(error))
            await wait_until(stopping, TURN_SECONDS)

    async def measure(self) -> None:
        """Set the gauges. Raises `StateUnavailable`, and then one of them says so."""
        try:
            async with self.database.read() as connection:
                oldest = await oldest_due(connection, self.now())
                disabled = await disabled_count(connection)
        except StateUnavailable:
            metrics.DATABASE_AWAY.set(1)
            raise
        metrics.DATABASE_AWAY.set(0)
        metrics.WEBHOOK_DISABLED.set(disabled)
        metrics.WEBHOOK_OLDEST_DUE_SECONDS.set(0.0 if oldest is None else max(0.0, self.now() - oldest))

    async def announce(self) -> None:
        """Say of each endpoint that was disabled that it is, and only then write down that it was said."""
        async with self.database.read() as connection:
            untold = await endpoints.untold(connection)
        for endpoint in untold:
            event = disabled_event(endpoint)
            at = datetime.fromtimestamp(endpoint.disabled_at or self.now(), UTC)
            # Each disabling is one event: an endpoint that was enabled again may be disabled anew.
            transition = f"{event.type}/{endpoint.disabled_at}"
            await self.say(event_from(event, source=self.event_source, time=at, transition=transition))
            log.warning("endpoint_disabled", endpoint=endpoint.id, reason=endpoint.disabled_reason)
        if untold:
            async with self.database.write() as connection:
                await endpoints.told(connection, [endpoint.id for endpoint in untold])

    async def prune(self) -> bool:
        """Throw away some of what was over long ago; whether there may be more of it."""
        jobs = await self._forget(forget_jobs, self.keep.jobs)
        deliveries = await self._forget(forget_deliveries, self.keep.deliveries)
        log.info("pruned", deliveries=deliveries, jobs=jobs)
        return max(jobs, deliveries) >= ROWS

    async def _forget(self, some: Callable[[Connection, float, int], Awaitable[int]], keep_seconds: float) -> int:
        async with self.database.write() as connection:
            return await some(connection, self.now() - keep_seconds, ROWS)


def disabled_event(endpoint: Endpoint) -> WebhookEndpointDisabled:
    """What its owner, and operators, are told."""
    since = endpoint.health.failing_since
    return WebhookEndpointDisabled.model_validate(
        {
            "tenant": endpoint.tenant,
            "endpoint_id": endpoint.id,
            "reason": endpoint.disabled_reason,
            "failing_since": None if since is None else datetime.fromtimestamp(since, UTC),
        }
    )
