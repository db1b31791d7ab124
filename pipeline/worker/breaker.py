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
                if error.code is not self._away:
                    raise
                self._failed()

    async def _probe(self, operation: Callable[[], Awaitable[T]]) -> T:
        await self._sleep(longest_pause(self._failures) * jitter())
        result = await operation()
        self._answered()
        return result

    def _failed(self) -> None:
        self._failures += 1
        if not self.open:
            self._set(open_=True)

    def _answered(self) -> None:
        self._failures = 0
        self._set(open_=False)

    def _set(self, *, open_: bool) -> None:
        self.open = open_
        metrics.BREAKER_OPEN.labels(self._service).set(open_)
        log.warning("breaker_opened" if open_ else "breaker_closed", service=self._service)
        self._changed()


def longest_pause(failures: int) -> float:
    """Seconds before the next question after `failures` of them; doubles each time."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
