"""Claims: which jobs are ours to do, the signs of life we give for them, and how each ended, for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from pipeline.errors import DeviceDied, JobFailed
from pipeline.storage import jobs
from pipeline.storage.client import Store
from pipeline.storage.jobs import Begun, Busy, Ended, JobKey, Rules, Suspect, WornOut
from pipeline.telemetry import metrics
from pipeline.worker.breaker import Breaker
from pipeline.worker.outcome import transition
from schemas import codec
from schemas.events import Event, JobEvent, event_from

BEATS_PER_LEASE = 3
HAND_BACK_SECONDS = 2.0
"""A store that does not answer must not hold up a stop; the lease runs out by itself."""

log = structlog.get_logger()


class Held:
    """A job that is ours while the block runs."""

    def __init__(self, begun: Begun) -> None:
        self.begun: Begun | None = begun
        """As it stands; None once another has taken the job."""


class Claims:
    """The jobs of this process, as the store knows them. Waits while the store is away."""

    def __init__(self, store: Store, rules: Rules, breaker: Breaker, event_source: str) -> None:
        self._store = store
        self._rules = rules
        self._breaker = breaker
        self._event_source = event_source

    async def begin(self, key: JobKey, *, alone: bool = False) -> Begun | Busy | Suspect | WornOut | Event:
        """Take the job, or learn why not: an event is the one it ended with. `alone` as in `jobs.begin`."""
        found = await self._breaker.call(lambda: jobs.begin(self._store, key, self._rules, alone=alone))
        if isinstance(found, Begun) and found.starts > 1:
            metrics.RESTARTS.inc()
            log.warning("job_begun_again", job_id=key.job_id, starts=found.starts)
        return codec.from_document(found.event, origin=key.path) if isinstance(found, Ended) else found

    @asynccontextmanager
    async def hold(self, begun: Begun) -> AsyncIterator[Held]:
        """Give signs of life while the block runs. A job that was not ended in it is left to whoever comes next.

        After `DeviceDied` its starts stay counted, as those of a job whose worker was killed.
        """
        held, counted = Held(begun), 0
        beating = asyncio.create_task(self._beat(held))
        try:
            yield held
        except DeviceDied:
            counted = begun.starts
            raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            if held.begun is not None:
                await asyncio.shield(self._hand_back(held.begun, counted))

    async def end(self, key: JobKey, event: JobEvent, held: Held | None = None) -> Event:
        """End the job with `event` unless it has ended; the event to publish is the one it ended with."""
        ours = self._envelope(event, key)
        begun = held.begun if held else None
        standing = await self._breaker.call(lambda: jobs.end(self._store, key, codec.to_document(ours), begun))
        if held:
            held.begun = None
        return codec.from_document(standing, origin=key.path)

    async def call_off(self, key: JobKey, event: JobEvent) -> Event | None:
        """End a job that nobody works on with `event`, then to be published; None when it is not ours to end."""
        ours = self._envelope(event, key)
        ended = await self._breaker.call(lambda: jobs.end_idle(self._store, key, codec.to_document(ours), self._rules))
        return ours if ended else None

    def _envelope(self, event: JobEvent, key: JobKey) -> Event:
        return event_from(
            event, source=self._event_source, time=datetime.now(UTC), transition=transition(event, key.replay)
        )

    async def _beat(self, held: Held) -> None:
        """Cheap for short jobs: the first sign is the beginning itself."""
        while self._rules.lease_seconds and held.begun is not None:
            await asyncio.sleep(self._rules.lease_seconds / BEATS_PER_LEASE)
            # A store that is away keeps no lease of anybody; the job's own writes will wait for it.
            with suppress(JobFailed):
                held.begun = await jobs.touch(self._store, held.begun, self._rules)

    async def _hand_back(self, begun: Begun, starts: int) -> None:
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await jobs.give_back(self._store, begun, starts=starts)
        except (JobFailed, TimeoutError):
            log.info("job_not_handed_back", job_id=begun.key.job_id)
