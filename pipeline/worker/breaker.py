"""Breaker: what to do while a service is away that every job needs.

Jobs would fail one after the other for a reason that is none of theirs. Instead whoever meets the outage waits, intake
stops, and one of those who wait asks again from time to time; the first answer lets all of them on.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pipeline.errors import JobFailed
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0

T = TypeVar("T")

log = structlog.get_logger()


def jitter() -> float:
    """Workers should not all come back at one moment."""
    return random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing


class Breaker:
    """Guards one service. `away` is the failure that tells of its absence; any other passes through."""

    def __init__(
        self,
        service: str,
        away: FailureCode,
        *,
        changed: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.open = False
        """Whether the service is away."""
        self._service = service
        self._away = away
        self._changed = changed
        self._sleep = sleep
        self._probing = asyncio.Lock()
        self._failures = 0

    async def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """The result of `operation`, repeated for as long as the service is away. Raises whatever else it raises."""
        while True:
            try:
                if not self.open:
                    return await operation()
                # One caller at a time: hundreds that knock at once would keep a service down that wants to come up.
                async with self._probing:
                    if self.open:
                        return await self._probe(operation)
            except JobFailed as error:
                if not self._tells_absence(error):
                    raise
                # Calls that were under way together and fail together are one failure.
                if not self.open:
                    self._failures = 1
                    self._set(open_=True)

    async def _probe(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Whatever comes back but `away` closes: a caller that leaves may be the last, and nobody else would."""
        await self._sleep(longest_pause(self._failures) * jitter())
        try:
            result = await operation()
        except Exception as error:
            if self._tells_absence(error):
                self._failures += 1
            else:
                self._set(open_=False)
            raise
        self._set(open_=False)
        return result

    def _tells_absence(self, error: Exception) -> bool:
        return isinstance(error, JobFailed) and error.code is self._away

    def _set(self, *, open_: bool) -> None:
        self.open = open_
        metrics.BREAKER_OPEN.labels(self._service).set(open_)
        log.warning("breaker_opened" if open_ else "breaker_closed", service=self._service)
        self._changed()


def longest_pause(failures: int) -> float:
    """Seconds before the next question after `failures` of them; doubles each time."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
