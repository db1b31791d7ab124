"""A requester's conversation with the service: upload, ask, follow, download."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.kafka.follow import Followed, Follower, follow
from pipeline.kafka.publish import Publisher
from pipeline.settings import Settings
from pipeline.storage import client as storage
from pipeline.storage.client import Store
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.storage.transfer import download, upload
from schemas import codec
from schemas.events import JobEvent, UpscaleCompleted, UpscaleRequested, WebhookRejected, event_from
from schemas.topics import Lane, Topics, declare

Told = JobEvent | WebhookRejected
"""What a requester hears of a job."""


@dataclass(frozen=True, slots=True)
class Session:
    """Open connections of one requester. Follows events from the moment it was opened, so none of its own is missed."""

    store: Store
    publisher: Publisher
    follower: Follower
    topics: Topics
    event_source: str

    async def upload(self, path: Path, tenant: str) -> str:
        """Put a local file into our bucket; returns the reference to ask with."""
        return f"upload:{await upload(self.store, tenant, path)}"

    async def ask(self, request: UpscaleRequested, lane: Lane) -> None:
        """Send a request; returns when the broker has it."""
        event = event_from(request, source=self.event_source, time=datetime.now(UTC))
        await self.publisher.publish(self.topics.requests[lane].name, codec.encode(event))

    def events(self, jobs: set[str]) -> AsyncIterator[Told]:
        """Events of `jobs` as they come, until each of them has ended."""
        return events_of(self.follower, jobs)

    async def download(self, completed: UpscaleCompleted, target: Path) -> Path:
        """Fetch a result, checked against the digest in its event, into `target`."""
        result = completed.result
        bucket, _, key = result.url.removeprefix("s3://").partition("/")
        source = SourceFacts(completed.source_width, completed.source_height, tuple(completed.warnings))
        stored = StoredObject(
            bucket, key, result.sha256, result.size, result.format, result.width, result.height, source
        )
        await download(self.store, stored, target)
        return target


async def events_of(records: AsyncIterable[Followed], jobs: set[str]) -> AsyncIterator[Told]:
    """Events of `jobs` among `records`, until each of them has ended. A repeated terminal event is told once.
    Of a webhook that is not called is told too, while any of them is open.

    What cannot be read is passed over: the topic may carry later versions of an event, and what is none of ours.
    """
    open_jobs = set(jobs)
    async for record in records:
        event = _told(record)
        # The dispatcher may be slower to reject a webhook than a worker is to do the job.
        heard = jobs if isinstance(event, WebhookRejected) else open_jobs
        if event is None or event.job_id not in heard:
            continue
        if event.terminal:
            open_jobs.discard(event.job_id)
        yield event
        if not open_jobs:
            return


def _told(record: Followed) -> Told | None:
    try:
        data = codec.decode(record.value, record.headers, origin=record.origin).data
    except (codec.UndecodableEvent, codec.InvalidRequest):
        return None
    return data if isinstance(data, JobEvent | WebhookRejected) else None


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Session]:
    """Open the connections. Raises `ServiceUnreachable`."""
    topics = declare(settings.kafka.topic_prefix, partitions=settings.kafka.partitions)
    async with (
        storage.connect(settings.store) as store,
        Publisher(settings.kafka) as publisher,
        follow(settings.kafka, topics.events.name) as follower,
    ):
        yield Session(store, publisher, follower, topics, settings.telemetry.event_source)
