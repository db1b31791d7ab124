"""The works inside the batcher: what each has waiting, what it got back, and its one answer."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.batching.policy import Launch, View, Waiting, megapixels
from pipeline.batching.shares import Shares
from pipeline.batching.work import BatchKey, TilePixels, TileWork
from pipeline.telemetry import metrics

Progress = Callable[[int, int], None]
"""Tiles done, tiles in all."""
Upscaled = tuple[TilePixels, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """One work from its submission to its answer. Tiles are launched in order; they may come back out of order."""

    ticket: int
    work: TileWork
    arrived: float
    answer: asyncio.Future[Upscaled]
    on_progress: Progress | None
    launched: int = 0
    upscaled: dict[int, TilePixels] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Tiles to launch; none once the waiter is answered or has left."""
        return 0 if self.answer.done() else len(self.work.tiles) - self.launched

    def fail(self, error: Exception) -> None:
        """Answer with `error`, which must be nobody else's, unless already answered."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def receive(self, first: int, tiles: Sequence[TilePixels]) -> None:
        """Tiles `first` and following came back. Dropped when the waiter is answered or has left."""
        if self.answer.done():
            return
        self.upscaled.update(enumerate(tiles, first))
        self._report()
        if len(self.upscaled) == len(self.work.tiles) and not self.answer.done():
            self.answer.set_result(tuple(self.upscaled[index] for index in range(len(self.work.tiles))))

    def _report(self) -> None:
        try:
            if self.on_progress is not None:
                self.on_progress(len(self.upscaled), len(self.work.tiles))
        except Exception as error:
            self.fail(error)


@dataclass(frozen=True, slots=True)
class Part:
    """The tiles of one work in one launch."""

    entry: Entry
    first: int
    count: int

    @property
    def tiles(self) -> tuple[TilePixels, ...]:
        return self.entry.work.tiles[self.first : self.first + self.count]


class Queue:
    """All works that are not answered yet, and what each account was given."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._shares = Shares()
        self._tickets = 0
        self._bulk_credit = 0.0

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def add(self, work: TileWork, arrived: float, on_progress: Progress | None) -> Entry:
        """Queue a work. Call on the event loop; `discard` the entry when its waiter has its answer or leaves."""
        self._tickets += 1
        entry = Entry(self._tickets, work, arrived, asyncio.get_running_loop().create_future(), on_progress)
        self._entries[entry.ticket] = entry
        self._shares.arrive((work.lane, work.tenant))
        metrics.QUEUED_TILES.labels(work.lane).inc(entry.waiting)
        return entry

    def discard(self, entry: Entry) -> None:
        del self._entries[entry.ticket]
        metrics.QUEUED_TILES.labels(entry.work.lane).dec(len(entry.work.tiles) - entry.launched)
        self._shares.leave((entry.work.lane, entry.work.tenant))

    def view(self, limit: Callable[[BatchKey], int], now: float) -> View:
        """What the policy chooses from. A limit below 1 counts as 1, so that every work can go on."""
        waiting = tuple(_waiting(entry) for entry in self._entries.values() if entry.waiting)
        limits: Mapping[BatchKey, int] = {key: max(1, limit(key)) for key in {work.key for work in waiting}}
        return View(waiting, self._shares.served, self._bulk_credit, limits, now)

    def take(self, launch: Launch) -> tuple[Part, ...]:
        """Mark the tiles of `launch`, chosen from the latest `view`, as launched."""
        self._bulk_credit = launch.bulk_credit
        return tuple(self._part(self._entries[ticket], count) for ticket, count in launch.tiles.items())

    def _part(self, entry: Entry, count: int) -> Part:
        part = Part(entry, entry.launched, count)
        entry.launched += count
        metrics.QUEUED_TILES.labels(entry.work.lane).dec(count)
        self._shares.charge((entry.work.lane, entry.work.tenant), count * megapixels(entry.work.key))
        return part


def _waiting(entry: Entry) -> Waiting:
    work = entry.work
    return Waiting(entry.ticket, work.key, work.lane, work.tenant, entry.waiting, entry.arrived, work.deadline)
