"""Events that nobody's result depends on: said in the background, dropped rather than waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import structlog

from pipeline.errors import JobFailed
from schemas.events import Event, JobEvent, UpscaleProgress, UpscaleRequested
from schemas.stages import Stage

log = structlog.get_logger()

PENDING_LIMIT = 256
"""Announcements under way; above it the broker is slow and new ones are dropped."""
PROGRESS_INTERVAL_SECONDS = 0.5


class Announcer:
    """Owns the tasks that announce; leaving it waits for none of them."""

    def __init__(self, say: Callable[[JobEvent], Awaitable[None]], now: Callable[[], float]) -> None:
        self._say = say
        self._now = now
        self._pending: dict[asyncio.Task[None], tuple[str, str]] = {}
        """Whose job each task speaks of: tenant and job id."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    def announce(self, event: JobEvent) -> None:
        """Say `event` soon, after those announced before it."""
        if len(self._pending) >= PENDING_LIMIT:
            log.warning("announcement_dropped", type=event.type)
            return
        task = asyncio.create_task(self._try(event))
        self._pending[task] = (event.tenant, event.job_id)
        task.add_done_callback(self._pending.pop)

    async def conclude(self, event: Event, say: Callable[[Event], Awaitable[None]]) -> None:
        """`say` the last event of a job.

        What is still to be announced of the job is dropped: a reader must not hear that a job runs after its end.
        """
        for task, job in self._pending.items():
            if job == (event.data.tenant, event.data.subject):
                task.cancel()
        await say(event)

    def progress(self, request: UpscaleRequested) -> Callable[[int, int], None]:
        """A callback `(tiles_done, tiles_total)` that announces at most every `PROGRESS_INTERVAL_SECONDS`.

        That all is done is said only where something was said before: the end of the job says it better.
        """
        last, told = self._now(), False

        def report(done: int, total: int) -> None:
            nonlocal last, told
            if self._now() - last < PROGRESS_INTERVAL_SECONDS or (done >= total and not told):
                return
            last, told = self._now(), True
            self.announce(
                UpscaleProgress(
                    job_id=request.job_id,
                    tenant=request.tenant,
                    labels=request.labels,
                    stage=Stage.BATCH,
                    tiles_done=done,
                    tiles_total=total,
                )
            )

        return report

    async def _try(self, event: JobEvent) -> None:
        try:
            await self._say(event)
        except JobFailed as error:
            log.warning("announcement_failed", type=event.type, code=str(error.code))
