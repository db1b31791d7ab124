"""Guarantees of pipeline.worker.cancel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson
import pytest
from structlog.testing import capture_logs

from pipeline.errors import CalledOff, ServiceUnreachable
from pipeline.kafka.follow import Followed
from pipeline.storage.jobs import JobKey, Rules
from pipeline.worker.breaker import Breaker
from pipeline.worker.cancel import cancel, listen, understood
from pipeline.worker.claims import Claims
from pipeline.worker.running import Running
from schemas import codec
from schemas.events import CancelRequested, Event, EventData, UpscaleCanceled, UpscaleRequested, event_from
from schemas.failures import FailureCode
from tests.support.clock import run_virtual
from tests.support.exposition import sample
from tests.support.memory_jobs import MemoryJobs

AT = "upscale.control/0/1"
KEY = JobKey("acme", "job-1")
REQUEST = CancelRequested(job_id="job-1", tenant="acme")
LOST = ServiceUnreachable("broker", "127.0.0.1:9092", "UPSCALE_KAFKA__SERVERS", "gone")


def record(data: EventData) -> Followed:
    message = codec.encode(event_from(data, source="/test", time=datetime(2026, 1, 1, tzinfo=UTC)))
    return Followed(message.value, message.headers, AT)


class Deployment:
    """One worker's part in calling off, and what it says."""

    def __init__(self) -> None:
        self.objects = MemoryJobs()
        self.running = Running()
        self.claims = self.claims_of("a")
        self.said: list[Event] = []

    def claims_of(self, name: str) -> Claims:
        breaker = Breaker("test", FailureCode.STORE_UNAVAILABLE, changed=lambda: None)
        return Claims(self.objects.store(), Rules(name, 15.0, 3), breaker, "/test")

    async def cancel(self) -> None:
        async def say(event: Event) -> None:
            self.said.append(event)

        await cancel(REQUEST, self.running, self.claims, say)


async def test_job_that_runs_here_is_ended_by_its_own_work() -> None:
    """Whoever settles it ends it and says so; a second voice would say it before the work has stopped."""
    here = Deployment()
    doing = asyncio.create_task(here.running.do(KEY, asyncio.sleep(3600)))
    await asyncio.sleep(0)
    await here.cancel()
    with pytest.raises(CalledOff):
        await doing
    assert (here.said, here.objects.log) == ([], [])


async def test_job_that_nobody_has_is_ended_for_everybody_and_said() -> None:
    """Whoever is handed its record afterwards finds the same event and executes nothing."""
    here = Deployment()
    await here.cancel()
    assert [event.data for event in here.said] == [UpscaleCanceled(job_id="job-1", tenant="acme")]
    assert await here.claims_of("b").begin(KEY) == here.said[0]


async def test_job_that_another_worker_has_is_left_to_it() -> None:
    """It hears of the same cancellation."""
    here = Deployment()
    await here.claims_of("b").begin(KEY)
    await here.cancel()
    assert here.said == []


async def test_job_that_another_worker_died_with_is_not_done_by_its_heir() -> None:
    """While the dead one's lease runs everybody leaves the job to it, so nobody ends it when it is called off."""
    here = Deployment()
    await here.claims_of("dead").begin(KEY)
    await here.cancel()
    with pytest.raises(CalledOff):
        await here.running.do(KEY, asyncio.sleep(0))
    assert await here.running.do(JobKey("acme", "job-1", replay=1), asyncio.sleep(0, "played again")) == "played again"


async def test_calling_off_again_says_nothing_again() -> None:
    """The topic is read from its start by each worker that starts, so all of it repeats."""
    here = Deployment()
    await here.cancel()
    await here.cancel()
    assert len(here.said) == 1


@pytest.mark.parametrize(
    ("followed", "reason", "detail"),
    [
        (Followed(None, (), AT), "empty", "the record has no value"),
        (Followed(b"not json", (), AT), "malformed_json", "must be JSON"),
        (Followed(b'{"tenant": "acme"}', (), AT), "invalid_payload", "job_id: is required"),
        (
            record(UpscaleRequested(job_id="job-1", source="https://example.com/a.png")),
            "unexpected_type",
            "cancel-requ",
        ),
        (record(UpscaleCanceled(job_id="job-1")), "unexpected_type", "must be io.upscale.cancel-requested.v1 here"),
    ],
    ids=["empty", "garbage", "without a name", "request", "event of ours"],
)
def test_record_that_is_no_cancellation_is_passed_over_and_told(followed: Followed, reason: str, detail: str) -> None:
    """It must not end the worker that reads it, which would be all of them; log and metric say what it lacks."""
    before = sample("upscale_control_refused_total", reason=reason)
    with capture_logs() as logs:
        assert understood(followed) is None
    assert sample("upscale_control_refused_total", reason=reason) == before + 1
    assert [(line["event"], line["origin"], line["reason"]) for line in logs] == [
        ("control_not_understood", AT, reason)
    ]
    assert detail in logs[0]["detail"]


BARE = Followed(b'{"job_id": "job-1", "tenant": "acme"}', (), AT)
STRUCTURED = Followed(
    orjson.dumps(codec.to_document(event_from(REQUEST, source="/test", time=datetime(2026, 1, 1, tzinfo=UTC)))), (), AT
)


@pytest.mark.parametrize("followed", [record(REQUEST), STRUCTURED, BARE], ids=["binary", "structured", "bare"])
def test_cancellation_is_understood_in_each_of_the_three_forms(followed: Followed) -> None:
    """With the tenant: ids of jobs are only unique within one."""
    assert understood(followed) == REQUEST


def test_listening_passes_over_what_it_does_not_understand_and_outlasts_the_broker() -> None:
    """After an outage the topic is read again; no cancellation behind garbage or a gap is missed."""
    first = [Followed(b"not json", (), "upscale.control/0/1"), record(REQUEST)]
    second = [*first, record(CancelRequested(job_id="job-2"))]
    heard: list[str] = []
    visits = iter([first, LOST, second])

    @asynccontextmanager
    async def follow() -> AsyncIterator[AsyncIterator[Followed]]:
        found = next(visits)
        if isinstance(found, ServiceUnreachable):
            raise found
        yield records(found)

    async def records(found: list[Followed]) -> AsyncIterator[Followed]:
        for each in found:
            yield each
        if found is first:
            raise LOST
        await asyncio.Event().wait()

    async def carry_out(request: CancelRequested) -> None:
        heard.append(request.job_id)

    async def for_a_while() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await listen(follow, carry_out)

    run_virtual(for_a_while())
    assert heard == ["job-1", "job-1", "job-2"]
