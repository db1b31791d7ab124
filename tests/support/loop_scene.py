"""A worker's loop between lists: what it is given, what it says, and what it lets go of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson

from pipeline.gpu.models.catalog import Catalogue
from pipeline.kafka.deadletter import Why
from pipeline.kafka.records import Position, Received
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.jobs import Begun, Busy, JobKey, WornOut
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.storage.sources import SourcePolicy
from pipeline.telemetry import metrics
from pipeline.worker.breaker import Breaker
from pipeline.worker.claims import Held
from pipeline.worker.intake import Clocks, Job, Refused, Undecodable, accept
from pipeline.worker.loop import Worker
from pipeline.worker.outcome import Done
from pipeline.worker.running import Running
from pipeline.worker.settle import Accept, Handling, Ports
from pipeline.worker.stop_rule import StopRule
from pipeline.worker.verdict import Again
from schemas import topics
from schemas.events import Event, JobEvent, Provenance, event_from
from schemas.failures import FailureCode
from schemas.options import OutputFormat
from schemas.topics import Lane

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Done(
    StoredObject("b", "results/t/j/k.png", "ab" * 32, 9, OutputFormat.PNG, 8, 8, SourceFacts(2, 2)),
    Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1"),
)
SOURCES = SourcePolicy.of(StoreSettings(), FetchSettings())


LAST_ATTEMPT = ((topics.ATTEMPT, b"9"),)
"""Headers of a record that is tried once more and never again."""


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
        self.doing: Callable[[Job], Coroutine[None, None, Done]] = self._done
        self.saying: Callable[[Event], Coroutine[None, None, None]] = self._hear
        self.parking: Callable[[Received, Why], Coroutine[None, None, None]] = self._park
        self.accepting: Accept = self._accept
        self.claims = SceneClaims(self.log)
        self.running = Running()
        self.rule = StopRule()
        self.stopped: list[str] = []
        """Reasons for which the stop rule asked for the end."""

    def streams(self) -> Iterator[AsyncIterator[Received]]:
        return map(self._lane, Lane)

    async def _lane(self, lane: Lane) -> AsyncIterator[Received]:
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

    def worker(self, *, jobs_per_topic: int = 8) -> Worker:
        broker = Breaker("broker", FailureCode.BROKER_UNAVAILABLE, changed=lambda: None, sleep=self._pause)
        ports = Ports(
            claims=self.claims,
            do=lambda job, begun: self.running.do(begun.key, self.doing(job)),
            say=lambda event: broker.call(lambda: self.saying(event)),
            hand_on=self._hand_on,
            park=lambda record, why: broker.call(lambda: self.parking(record, why)),
            announce=lambda event: self.log.append(("announce", event.job_id)),
            now=self.now,
            able=lambda: True,
        )
        handling = Handling(self.accepting, ports, self.running, self.rule, self.stopped.append)
        return Worker(
            self,
            handling,
            jobs_per_topic=jobs_per_topic,
            in_hand=lambda lane, change: metrics.IN_FLIGHT_JOBS.labels(lane).inc(change),
        )

    async def run(self, *, jobs_per_topic: int = 8) -> None:
        await self.worker(jobs_per_topic=jobs_per_topic).run()

    @property
    def finished(self) -> list[int]:
        """Offsets that were let go of, ascending."""
        return sorted(offset for what, offset in self.log if what == "finish" and isinstance(offset, int))

    def said(self, kind: type[JobEvent]) -> list[JobEvent]:
        return [event for what, event in self.log if what == "say" and isinstance(event, kind)]

    def _accept(self, record: Received) -> Job | Refused | Undecodable:
        return accept(record, Clocks(wall=lambda: NOW, monotonic=self.now), SOURCES, Catalogue())

    async def _done(self, job: Job) -> Done:
        return DONE

    async def _hear(self, event: Event) -> None:
        self.log.append(("say", event.data))

    async def _pause(self, seconds: float) -> None:
        self.log.append(("pause", seconds))

    async def _hand_on(self, record: Received, again: Again) -> None:
        self.log.append(("hand on", again))

    async def _park(self, record: Received, why: Why) -> None:
        self.log.append(("park", why.reason))


class SceneClaims:
    """Claims in a dictionary."""

    def __init__(self, log: list[tuple[str, object]]) -> None:
        self.ended: dict[JobKey, Event] = {}
        self.beginnings: dict[JobKey, Busy | WornOut] = {}
        """What to answer instead of handing a job over."""
        self._log = log

    async def begin(self, key: JobKey, *, alone: bool = False) -> Begun | Busy | WornOut | Event:
        return self.ended.get(key) or self.beginnings.get(key) or Begun(key, "version", starts=1)

    @asynccontextmanager
    async def hold(self, begun: Begun) -> AsyncIterator[Held]:
        held = Held(begun)
        try:
            yield held
        finally:
            if held.begun:
                self._log.append(("give back", begun.key.job_id))

    async def end(self, key: JobKey, event: JobEvent, held: Held | None = None) -> Event:
        self._log.append(("end", key.job_id))
        if held:
            held.begun = None
        return self.ended.setdefault(key, event_from(event, source="/test", time=NOW))
