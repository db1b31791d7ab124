"""What a worker's jobs are like and how fast they go, learnt as they end, and what that makes of the jobs before it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from pipeline.telemetry import metrics
from schemas.topics import Lane

MEMORY_JOBS = 50
"""About so many jobs are remembered; older ones fade."""
INTERVAL_SECONDS = 5.0


class Tempo:
    """Running means over the jobs of one worker. `now` is monotonic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._jobs = dict.fromkeys(Lane, 0)
        self._each: dict[Lane, float] = dict.fromkeys(Lane, 0.0)
        self._done = 0.0
        self._busy = 0.0
        self._in_work = 0
        self._since = 0.0
        """Since when the time in work is not yet in `_busy`."""

    @contextmanager
    def working(self) -> Iterator[None]:
        """A job is in work. Jobs side by side take the time once."""
        if not self._in_work:
            self._since = self._now()
        self._in_work += 1
        try:
            yield
        finally:
            self._count_time()
            self._in_work -= 1

    def did(self, lane: Lane, megapixels: float) -> None:
        """A job of so many source megapixels was done."""
        self._count_time()
        self._jobs[lane] += 1
        self._each[lane] += (megapixels - self._each[lane]) / min(self._jobs[lane], MEMORY_JOBS)
        fading = 1 - 1 / MEMORY_JOBS
        self._done, self._busy = self._done * fading + megapixels, self._busy * fading

    def megapixels(self, lane: Lane, messages: int) -> float | None:
        """What `messages` of a lane amount to; None before the first job of that lane."""
        return messages * self._each[lane] if self._jobs[lane] else None

    def seconds(self, megapixels: float) -> float | None:
        """How long this worker would take for them alone; None before the first job."""
        return megapixels * self._busy / self._done if self._done else None

    def _count_time(self) -> None:
        if self._in_work:
            self._busy += self._now() - self._since
            self._since = self._now()


async def watch(
    behind: Callable[[], Awaitable[Mapping[Lane, int]]],
    tempo: Tempo,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Keep the metrics of the lag up to date; for ever."""
    while True:
        for lane, messages in (await behind()).items():
            show(lane, messages, tempo)
        await sleep(INTERVAL_SECONDS)


def show(lane: Lane, messages: int, tempo: Tempo) -> None:
    """What is not known is not shown, rather than shown as nothing."""
    metrics.LAG_MESSAGES.labels(lane).set(messages)
    megapixels = tempo.megapixels(lane, messages)
    if megapixels is None:
        return
    metrics.LAG_MEGAPIXELS.labels(lane).set(megapixels)
    seconds = tempo.seconds(megapixels)
    if seconds is not None:
        metrics.LAG_SECONDS.labels(lane).set(seconds)
