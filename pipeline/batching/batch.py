"""Batcher: tiles of many pictures in, launches out, and exactly one answer for everyone who waits.

There are no timers: the device is free and a tile waits, so it is launched; while the device is busy, tiles gather.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, islice
from time import monotonic
from types import TracebackType
from typing import Self

from pipeline.batching.policy import Policy, choose
from pipeline.batching.queue import Part, Progress, Queue
from pipeline.batching.work import BatchKey, TileBatch, TilePixels, TileWork
from pipeline.errors import JobExpired, JobFailed, ShuttingDown
from schemas.failures import FailureCode

Run = Callable[[TileBatch], Awaitable[Sequence[TilePixels]]]
"""Upscales a batch: one result per tile, in order. What it raises fails the works in that batch, and no others."""
Limit = Callable[[BatchKey], int]
"""Most tiles of one launch; asked before each launch."""


class Batcher:
    """Shares one device between all who submit. Belongs to the event loop it is entered on.

    `slots` launches may be in flight: with 2, the next batch is ready when the device finishes the last.
    """

    def __init__(
        self,
        run: Run,
        limit: Limit,
        *,
        slots: int = 1,
        policy: Policy = Policy(),  # noqa: B008  frozen
        now: Callable[[], float] = monotonic,
    ) -> None:
        if slots < 1:
            raise ValueError(f"slots: must be at least 1, got {slots}")
        self._run = run
        self._limit = limit
        self._slots = slots
        self._policy = policy
        self._now = now
        self._queue = Queue()
        self._arrived = asyncio.Event()
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._serving = [asyncio.create_task(self._serve(), name=f"batcher-{slot}") for slot in range(self._slots)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more work, give up what is not answered, and end all launches."""
        tasks, self._serving = self._serving, []
        for entry in self._queue:
            entry.fail(ShuttingDown("the batcher was closed before all tiles were upscaled"))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, work: TileWork, on_progress: Progress | None = None) -> tuple[TilePixels, ...]:
        """The upscaled tiles of `work`, in its order. Cancelling the call withdraws the work.

        `on_progress` is called on the loop after each launch that upscaled some of them; what it raises ends the call.
        Raises `JobFailed` when a launch failed, `JobExpired` when the deadline passed before the last tile was
        launched, `ShuttingDown` when the batcher is closed, `ValueError` when a tile is not of the key's size.
        """
        if not self._serving:
            raise ShuttingDown("the batcher is closed and takes no work")
        _check(work)
        if not work.tiles:
            return ()
        entry = self._queue.add(work, self._now(), on_progress)
        self._arrived.set()
        try:
            return await entry.answer
        finally:
            self._queue.discard(entry)

    async def _serve(self) -> None:
        """One slot: launch while tiles wait, then wait for some.

        Nothing is awaited between choosing tiles and handing them over, so a waiter that left takes its tiles along.
        Works that arrive in one turn of the event loop share the first launch.
        """
        while True:
            parts = self._choose()
            if parts:
                await self._launch(parts)
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _choose(self) -> tuple[Part, ...]:
        try:
            self._expire()
            launch = choose(self._queue.view(self._limit, self._now()), self._policy)
            return self._queue.take(launch) if launch else ()
        except Exception as error:
            # A choice that fails would fail again for ever: whoever waits must hear of it.
            for entry in self._queue:
                entry.fail(_own_failure(error))
            return ()

    def _expire(self) -> None:
        now = self._now()
        for entry in self._queue:
            if entry.waiting and entry.work.deadline is not None and entry.work.deadline <= now:
                entry.fail(JobExpired())

    async def _launch(self, parts: Sequence[Part]) -> None:
        tiles = tuple(chain.from_iterable(part.tiles for part in parts))
        traces = tuple(part.entry.work.trace for part in parts if part.entry.work.trace is not None)
        batch = TileBatch(parts[0].entry.work.key, tiles, jobs=len(parts), traces=traces)
        try:
            _deliver(parts, _counted(await self._run(batch), len(tiles)))
        except asyncio.CancelledError:
            for part in parts:
                part.entry.fail(ShuttingDown("the launch was cancelled before its tiles were upscaled"))
            # A device that stops may cancel its own futures; only a cancellation of this task ends the slot.
            if _is_cancelled():
                raise
        except Exception as error:
            for part in parts:
                part.entry.fail(_own_failure(error))


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _check(work: TileWork) -> None:
    """A tile of another size would fail the launch for everyone in it."""
    expected = (work.key.height, work.key.width, 3)
    for index, tile in enumerate(work.tiles):
        if tile.shape != expected:
            raise ValueError(f"tiles[{index}]: shape must be {expected}, got {tile.shape}")


def _counted(upscaled: Sequence[TilePixels], expected: int) -> Sequence[TilePixels]:
    if len(upscaled) != expected:
        raise JobFailed(
            FailureCode.INTERNAL,
            f"the device gave back {len(upscaled)} tiles for a launch of {expected}",
            {"expected": expected, "received": len(upscaled)},
        )
    return upscaled


def _deliver(parts: Sequence[Part], upscaled: Sequence[TilePixels]) -> None:
    rest = iter(upscaled)
    for part in parts:
        part.entry.receive(part.first, tuple(islice(rest, part.count)))


def _own_failure(error: Exception) -> JobFailed:
    """A failure for one waiter: an exception raised in several tasks would gather all their tracebacks."""
    if isinstance(error, JobFailed):
        own = JobFailed(error.code, error.message, error.details)
    else:
        own = JobFailed(FailureCode.INTERNAL, "an internal error stopped the upscaling of this picture")
    own.__cause__ = error
    return own
