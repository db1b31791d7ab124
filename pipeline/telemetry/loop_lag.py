"""How late the event loop runs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

from pipeline.telemetry import metrics

INTERVAL_SECONDS = 0.25
STUCK_SECONDS = 5.0
"""A loop that is later than this serves nobody; a restart cures it."""


class LoopLag:
    """A timer on the event loop that records by how much it was late; runs inside `async with`."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._last_tick = now()

    async def __aenter__(self) -> Self:
        self._last_tick = self._now()
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def stuck(self) -> str | None:
        """Why the loop counts as stuck, or None: a check for /live."""
        silence = self._now() - self._last_tick
        return f"event loop: limit {STUCK_SECONDS:g} s, late by {silence:.1f} s" if silence > STUCK_SECONDS else None

    async def _tick(self) -> None:
        """Ticks keep to one raster: each is due an interval after the last was due, whenever that came."""
        due = self._now()
        while True:
            due = next_due(due, self._now())
            await self._sleep(due - self._now())
            self._last_tick = self._now()
            metrics.LOOP_LAG.observe(max(0.0, self._last_tick - due))


def next_due(due: float, now: float) -> float:
    """The first point of the raster after `now`: ticks that a long stall has swallowed are not made up for."""
    return due + INTERVAL_SECONDS * max(1.0, (now - due) // INTERVAL_SECONDS + 1)
