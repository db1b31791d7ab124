"""Jobs that are called off, and jobs that are tried again, through a real worker, broker and store."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import pytest
import pytest_asyncio

from pipeline.kafka.follow import follow
from pipeline.kafka.retry import due, handed_on, history
from pipeline.settings import FetchSettings, Settings
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas import codec, topics
from schemas.events import (
    CancelRequested,
    EventData,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleRequested,
    UpscaleStarted,
    event_from,
)
from schemas.topics import TIERS, Lane
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import FakeWorker, fake_worker
from tests.support.fault_run import picture
from tests.support.hostile_http import answer, hostile_server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

LAUNCH_SECONDS = 2.5
AT_ONCE_SECONDS = 1.0
IN_HAND = 2
PICTURE, _ = picture(1, 16)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scene:
    """A worker that holds two jobs at a time, whose launches are long, and a requester."""

    local: Settings
    session: Session

    async def asked(self) -> UpscaleRequested:
        """A request that the broker has."""
        made = request(await upload(self.session.store, "test", PICTURE))
        await self.session.ask(made, Lane.BULK)
        return made

    async def begun(self) -> UpscaleRequested:
        """A request that a worker has begun."""
        made = await self.asked()
        await self.hear(made, UpscaleStarted)
        return made

    async def call_off(self, job: UpscaleRequested) -> None:
        event = event_from(
            CancelRequested(job_id=job.job_id, tenant=job.tenant), source="/test", time=datetime.now(UTC)
        )
        await self.session.publisher.publish(self.session.topics.control.name, codec.encode(event))

    async def hear(self, job: UpscaleRequested, kind: type[EventData]) -> EventData:
        """The next event of this kind of the job."""
        async for record in self.session.follower:
            event = codec.decode(record.value, record.headers, origin=record.origin).data
            if event.job_id == job.job_id and isinstance(event, kind):
                return event
        raise AssertionError("a follower never ends")

    async def ends_of(self, jobs: set[str]) -> list[EventData]:
        """All terminal events until each of the jobs has one."""
        found: list[EventData] = []
        while jobs - {event.job_id for event in found}:
            record = await anext(self.session.follower)
            event = codec.decode(record.value, record.headers, origin=record.origin).data
            found += [event] if event.terminal else []
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("called-off")
    how = FakeWorker(folder / "journal", LatencyLaw(setup_seconds=LAUNCH_SECONDS))
    async with deployment(folder) as local:
        fetch = FetchSettings(allow_http=True, allow_private_addresses=True)
        intake = local.intake.model_copy(update={"max_jobs": IN_HAND})
        async with (
            fake_worker(folder, local.model_copy(update={"fetch": fetch, "intake": intake}), how),
            connect(local) as session,
        ):
            yield Scene(local, session)


async def test_calling_off_reaches_a_job_at_once_wherever_it_is(scene: Scene) -> None:
    """On the device, waiting for it, still with the broker, or not even asked for: the end is told within a second."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        on_device, waiting = await scene.begun(), await scene.begun()
        queued, unseen = await scene.asked(), request("never-uploaded.png")
        jobs = {job.job_id: job for job in (unseen, queued, waiting, on_device)}
        since = monotonic()
        for job in jobs.values():
            await scene.call_off(job)
        ends = await scene.ends_of(set(jobs))
        assert {type(end) for end in ends} == {UpscaleCanceled}
        assert monotonic() - since < AT_ONCE_SECONDS < LAUNCH_SECONDS


async def test_job_that_was_called_off_before_it_was_asked_for_never_runs(scene: Scene) -> None:
    """A requester may change its mind before its own request has arrived."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        never = request("never-uploaded.png")
        await scene.call_off(never)
        await scene.hear(never, UpscaleCanceled)
        await scene.session.ask(never, Lane.BULK)
        (end,) = await scene.ends_of({never.job_id})
        assert isinstance(end, UpscaleCanceled)


async def test_source_that_is_overloaded_once_is_asked_again_from_the_retry_topic(scene: Scene) -> None:
    """The record waits there for the tier's delay; when it is due it comes back by itself and the job completes."""
    topic = scene.session.topics.retries[Lane.BULK][0].name
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        hostile_server(answer(status=503), answer(PICTURE)) as source,
        follow(scene.local.kafka, topic) as waiting,
    ):
        asked = UpscaleRequested(job_id="overloaded-once", tenant="test", source=source.url())
        before = datetime.now(UTC)
        await scene.session.ask(asked, Lane.BULK)
        retried = await anext(waiting)
        found, moment = history(retried.headers), due(retried.headers)
        assert (found.attempt, dict(retried.headers)[topics.RETRY_REASON]) == (2, b"source_unavailable")
        assert moment is not None
        assert (moment - before).total_seconds() >= TIERS[0].delay_seconds
        # Not waiting half a minute: the same record, as if it had been put there so long ago.
        overdue = handed_on(retried.headers, attempt=2, tier=TIERS[0], reason="source_unavailable", now=LONG_AGO)
        await scene.session.publisher.send(topic, key=b"overloaded-once", value=retried.value, headers=overdue)
        end = await scene.hear(asked, UpscaleCompleted)
        assert isinstance(end, UpscaleCompleted)
        assert len(source.requests) == 2
