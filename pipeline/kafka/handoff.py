"""Records between the poll loop, which must never wait, and intake, which takes them when it has room."""

import asyncio
from collections import deque

from pipeline.kafka.records import Received


class Handoff:
    """A queue bounded by asking the poll loop to pause, not by making it wait. One event loop.

    When `capacity` records wait it does not want more until half of them are taken: each pause throws fetched records
    away, so it should not flutter.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: must be at least 1, got {capacity}")
        self._capacity = capacity
        self._records: deque[Received] = deque()
        self._full = False
        self._held = False
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self.wanting = asyncio.Event()
        """Set while the poll loop should go on fetching."""
        self._update()

    def put(self, record: Received) -> None:
        """Never refuses: what was fetched before a pause took effect is still ours to keep."""
        self._records.append(record)
        self._update()

    async def take(self) -> Received | None:
        """The oldest record, once there is one and the hand-off is not held; None after `close`.

        Raises what `fail` was given. A cancelled `take` loses nothing.
        """
        while not self._closed and (self._held or not self._records):
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return None
        record = self._records.popleft()
        self._update()
        return record

    def hold(self) -> None:
        """Hand out nothing until `release`."""
        self._held = True
        self._update()

    def release(self) -> None:
        self._held = False
        self._update()

    def drop(self) -> int:
        """Forget what waits, because its partitions are no longer ours; how many records that were."""
        dropped = len(self._records)
        self._records.clear()
        self._update()
        return dropped

    def close(self) -> None:
        """Every present and later `take` returns None."""
        self._closed = True
        self._update()

    def fail(self, error: BaseException) -> None:
        """Every present and later `take` raises `error`."""
        self._failure = error
        self.close()

    def _update(self) -> None:
        waiting = len(self._records)
        self._full = waiting >= self._capacity or (self._full and waiting > self._capacity // 2)
        if self._full or self._held or self._closed:
            self.wanting.clear()
        else:
            self.wanting.set()
        self._changed.set()
