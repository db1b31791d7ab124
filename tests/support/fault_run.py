"""A run of the fault suite: requests are made, things break, and in the end the checker has a history to judge."""

import asyncio
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import MappingProxyType

import numpy as np
from aiokafka import TopicPartition
from PIL import Image

from pipeline.errors import JobFailed, PipelineError
from pipeline.imaging.raster import Pixels
from pipeline.kafka.ends import end_offsets
from pipeline.kafka.follow import Followed, follow
from pipeline.settings import Settings
from pipeline.tools.session import Session, connect
from schemas import codec
from schemas.events import JobEvent, UpscaleCompleted, UpscaleFailed, UpscaleRequested
from schemas.topics import Lane
from tests.support.fake_device import enlarged
from tests.support.final_state import final_state, found_partitions, pixels_sha256
from tests.support.history import (
    Accepted,
    Begun,
    Ended,
    Expected,
    FaultBegan,
    FaultEnded,
    FoundPartition,
    History,
    Limits,
    Told,
    Unknown,
)
from tests.support.recorder import Recorder, read
from tests.support.waiting import until

LISTEN_AGAIN_SECONDS = 0.5
PLAIN_SIDE = 16


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
    ends: int = 0
    """Terminal events heard, repeats included."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, request: UpscaleRequested, expected: Expected, lane: Lane = Lane.BULK) -> None:
        """Make a request, and write down whether the broker has it."""
        await self.said(request, expected, lambda: self.session.ask(request, lane))

    async def said(self, request: UpscaleRequested, expected: Expected, say: Callable[[], Awaitable[None]]) -> None:
        """As `ask`, in the words of `say`."""
        job = {"tenant": request.tenant, "job_id": request.job_id}
        # Before it is said: it may have ended by the time the broker's answer is here.
        self.open_jobs.add(request.job_id)
        try:
            await say()
        except JobFailed:
            self.open_jobs.discard(request.job_id)
            self.recorder.write(Unknown(at=monotonic(), **job))
        else:
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

    async def more_ends(self, count: int) -> None:
        """Return when so many more terminal events have been heard."""
        wanted = self.ends + count
        async with self.changed:
            await self.changed.wait_for(lambda: self.ends >= wanted)

    async def at_work(self, worker: int) -> None:
        """Return when the worker has begun a job that has not ended."""

        async def begun() -> bool:
            entries = await asyncio.to_thread(read, [self.journal])
            begun, ended = (
                Counter(each.job_id for each in entries if isinstance(each, kind) and each.worker == worker)
                for kind in (Begun, Ended)
            )
            return bool(begun - ended)

        await until(begun)

    async def put(self, value: bytes, key: str, expected: Expected, lane: Lane = Lane.BULK) -> None:
        """Put a record that is no request of ours on a topic of requests; it is to end as a dead letter."""
        topic = self.session.topics.requests[lane].name
        await self.session.publisher.send(topic, key=key.encode(), value=value, headers=())
        self.recorder.write(Accepted(at=monotonic(), tenant="", job_id=key, expected=expected))

    async def committed(self) -> None:
        """Return when the workers' groups have committed all that was asked and all that was handed on."""
        seen: list[tuple[FoundPartition, ...]] = [()]

        async def asked() -> bool:
            # A record may be between two topics in one look, but not in two that see the same.
            seen.append(await found_partitions(self.local.kafka, self.session.topics))
            return seen[-1] == seen[-2] and all(each.committed >= each.end for each in seen[-1])

        await until(asked)

    async def history(self, limits: Limits, writes: Mapping[str, int] = MappingProxyType({})) -> History:
        """The whole of it. No worker may be at work any more: left, or `left(0)` and `committed`.

        `writes` is what a proxy before the store has counted.
        """
        await until(self._all_heard)
        final = await final_state(self.local.kafka, self.session.topics, self.session.store, writes)
        return History(entries=read([self.journal]), final=final, limits=limits)

    async def listen(self) -> None:
        """Write down every terminal event; for ever, through all outages of the broker."""
        follower: AsyncIterator[Followed] = self.session.follower
        async with AsyncExitStack() as opened:
            while True:
                with suppress(PipelineError):
                    async for record in follower:
                        await self._hear(record)
                await asyncio.sleep(LISTEN_AGAIN_SECONDS)
                with suppress(PipelineError):
                    events = self.session.topics.events.name
                    follower = await opened.enter_async_context(follow(self.local.kafka, events, from_start=True))

    async def _hear(self, record: Followed) -> None:
        topic, partition, offset = record.origin.rsplit("/", 2)
        place = TopicPartition(topic, int(partition))
        if int(offset) < self.heard.get(place, 0):
            return
        event = codec.decode(record.value, record.headers, origin=record.origin)
        async with self.changed:
            if isinstance(event.data, JobEvent) and event.data.terminal:
                self.recorder.write(told(event.id, event.data, record.value or b""))
                self.open_jobs.discard(event.data.job_id)
                self.ends += 1
            self.heard[place] = int(offset) + 1
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


def told(event_id: str, event: JobEvent, value: bytes) -> Told:
    """A terminal event as a line of the journal; `value` is all that its record says."""
    facts: dict[str, object] = {
        "state": event.type.split(".")[-2],
        "content_sha256": hashlib.sha256(value).hexdigest(),
    }
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
    result = enlarged(pixels)
    height, width = result.shape[:2]
    return _png(pixels), Expected(width=width, height=height, pixels_sha256=pixels_sha256(result))


def plain_picture(sample: int) -> bytes:
    """A PNG of nothing but this sample."""
    return _png(np.full((PLAIN_SIDE, PLAIN_SIDE, 3), sample, np.uint8))


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
