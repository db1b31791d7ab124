"""A worker's loop between lists: what it is given, what it says, and what it lets go of."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import orjson

from pipeline.kafka.records import Position, Received
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.objects import StoredObject
from pipeline.storage.sources import SourcePolicy
from pipeline.worker.intake import Clocks, Job, Refused, Undecodable, accept
from pipeline.worker.loop import Accept, Ports, Worker
from pipeline.worker.outcome import Done
from pipeline.worker.upscale import Upscaled
from schemas.events import JobEvent, Provenance
from schemas.options import OutputFormat
from schemas.topics import Lane

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Done(
    Upscaled(StoredObject("b", "results/t/j/k.png", "ab" * 32, 9, OutputFormat.PNG, 8, 8), 2, 2, ()),
    Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1"),
)
SOURCES = SourcePolicy.of(StoreSettings(), FetchSettings())


def received(
    offset: int,
    value: bytes | None = None,
    lane: Lane = Lane.BULK,
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Received:
    """A record, by default of a sound request whose job is named for the offset."""
    if value is None:
        value = orjson.dumps({"job_id": f"job-{offset}", "source": "https://example.com/a.png"})
    return Received(Position(f"requests.{lane}", 0, offset, epoch=1), lane, None, value, headers, NOW)


class Scene:
    """Records to hand out and functions to replace; `log` is all that happened, in order."""

    def __init__(self, *records: Received) -> None:
        self._records = records
        self.stays_open = False
        """Whether lanes wait for more records once theirs are handed out, as those of a broker do."""
        self.ends_with: Exception | None = None
        """What reading raises once the records are handed out."""
        self.now: Callable[[], float] = lambda: 0.0
        self.log: list[tuple[str, object]] = []
        self.doing: Callable[[Job], Awaitable[Done]] = self._done
        self.saying: Callable[[JobEvent], Awaitable[None]] = self._hear
        self.parking: Callable[[Received, Undecodable], Awaitable[None]] = self._park
        self.accepting: Accept = self._accept

    async def lane(self, lane: Lane) -> AsyncIterator[Received]:
        for record in self._records:
            if record.lane is lane:
                self.log.append(("take", record.position.offset))
                yield record
        if self.ends_with is not None:
            raise self.ends_with
        if self.stays_open:
            await asyncio.Event().wait()

    def finish(self, position: Position) -> None:
        self.log.append(("finish", position.offset))

    def worker(self, *, jobs_per_lane: int = 8) -> Worker:
        ports = Ports(
            records=self,
            do=self.doing,
            say=self.saying,
            announce=lambda event: self.log.append(("announce", event.job_id)),
            park=self.parking,
            pause=self._pause,
        )
        return Worker(ports, self.accepting, jobs_per_lane=jobs_per_lane, now=self.now)

    async def run(self, *, jobs_per_lane: int = 8) -> None:
        await self.worker(jobs_per_lane=jobs_per_lane).run()

    @property
    def finished(self) -> list[int]:
        """Offsets that were let go of, ascending."""
        return sorted(offset for what, offset in self.log if what == "finish" and isinstance(offset, int))

    def said(self, kind: type[JobEvent]) -> list[JobEvent]:
        return [event for what, event in self.log if what == "say" and isinstance(event, kind)]

    def _accept(self, record: Received) -> Job | Refused | Undecodable:
        return accept(record, Clocks(wall=lambda: NOW, monotonic=self.now), SOURCES)

    async def _done(self, job: Job) -> Done:
        return DONE

    async def _hear(self, event: JobEvent) -> None:
        self.log.append(("say", event))

    async def _park(self, record: Received, why: Undecodable) -> None:
        self.log.append(("park", why.reason))

    async def _pause(self, attempt: int) -> None:
        self.log.append(("pause", attempt))
