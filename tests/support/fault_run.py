"""A run of the fault suite: requests are made, things break, and in the end the checker has a history to judge."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
from aiokafka import TopicPartition
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.kafka.ends import end_offsets
from pipeline.settings import Settings
from pipeline.tools.session import Session, connect
from schemas import codec
from schemas.events import JobEvent, UpscaleCompleted, UpscaleFailed, UpscaleRequested
from schemas.topics import Lane
from tests.support.fake_device import enlarged
from tests.support.final_state import final_state, found_partitions, pixels_sha256
from tests.support.history import Accepted, Expected, FaultBegan, FaultEnded, History, Limits, Told, Unknown
from tests.support.recorder import Recorder, read
from tests.support.waiting import until


@dataclass(slots=True)
class FaultRun:
    """One run on one deployment. Made by `fault_run`."""

    local: Settings
    session: Session
    recorder: Recorder
    journal: Path
    """Of this process and of the workers."""
    open_jobs: set[str] = field(default_factory=set)
    heard: dict[TopicPartition, int] = field(default_factory=dict)
    """The next offset of each partition of the events."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, request: UpscaleRequested, expected: Expected, lane: Lane = Lane.BULK) -> None:
        """Make a request, and write down whether the broker has it."""
        job = {"tenant": request.tenant, "job_id": request.job_id}
        try:
            await self.session.ask(request, lane)
        except JobFailed:
            self.recorder.write(Unknown(at=monotonic(), **job))
        else:
            self.open_jobs.add(request.job_id)
            self.recorder.write(Accepted(at=monotonic(), **job, expected=expected))

    @contextmanager
    def fault(self, name: str, *, recovery_seconds: float, killed: int | None = None) -> Iterator[None]:
        """Write down when it began and ended. `killed` is the worker that it ends."""
        self.recorder.write(FaultBegan(at=monotonic(), name=name))
        yield
        self.recorder.write(FaultEnded(at=monotonic(), name=name, recovery_seconds=recovery_seconds, killed=killed))

    async def left(self, jobs: int) -> None:
        """Return when no more than so many of the accepted requests have not ended."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.open_jobs) <= jobs)

    async def committed(self) -> None:
        """Return when the workers' group has committed all that was asked."""

        async def asked() -> bool:
            found = await found_partitions(self.local.kafka, self.session.topics)
            return all(each.committed >= each.end for each in found)

        await until(asked)

    async def history(self, limits: Limits) -> History:
        """The whole of it. No worker may be at work any more: left, or `left(0)` and `committed`."""
        await until(self._all_heard)
        final = await final_state(self.local.kafka, self.session.topics, self.session.store)
        return History(entries=read([self.journal]), final=final, limits=limits)

    async def listen(self) -> None:
        """Write down every terminal event; for ever."""
        async for record in self.session.follower:
            event = codec.decode(record.value, record.headers, origin=record.origin)
            topic, partition, offset = record.origin.rsplit("/", 2)
            async with self.changed:
                if isinstance(event.data, JobEvent) and event.data.terminal:
                    self.recorder.write(told(event.id, event.data))
                    self.open_jobs.discard(event.data.job_id)
                self.heard[TopicPartition(topic, int(partition))] = int(offset) + 1
                self.changed.notify_all()

    async def _all_heard(self) -> bool:
        events = self.session.topics.events
        partitions = [TopicPartition(events.name, number) for number in range(events.partitions)]
        ends = await end_offsets(self.local.kafka, partitions)
        return all(self.heard.get(partition, 0) >= end for partition, end in ends.items())


@asynccontextmanager
async def fault_run(folder: Path, local: Settings) -> AsyncIterator[FaultRun]:
    """A run that has heard every event from its first request on. Its journal is in `folder`."""
    journal = folder / "journal"
    async with connect(local) as session:
        with Recorder(journal) as recorder:
            run = FaultRun(local, session, recorder, journal)
            listening = asyncio.create_task(run.listen())
            try:
                yield run
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


def told(event_id: str, event: JobEvent) -> Told:
    """A terminal event as a line of the journal."""
    facts: dict[str, object] = {"state": event.type.split(".")[-2]}
    if isinstance(event, UpscaleFailed):
        facts |= {"code": str(event.failure.code)}
    if isinstance(event, UpscaleCompleted):
        result = event.result
        key = result.url.removeprefix("s3://").partition("/")[2]
        facts |= {"key": key, "sha256": result.sha256, "width": result.width, "height": result.height}
    return Told.model_validate(
        {"at": monotonic(), "tenant": event.tenant, "job_id": event.job_id, "event_id": event_id, **facts}
    )


def picture(seed: int, side: int) -> tuple[bytes, Expected]:
    """A PNG of noise, and what the fake device makes of it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    result = enlarged(pixels)
    height, width = result.shape[:2]
    return file.getvalue(), Expected(width=width, height=height, pixels_sha256=pixels_sha256(result))
