"""Guarantees of pipeline.worker.announce."""

import asyncio
from datetime import UTC, datetime

from structlog.testing import capture_logs

from pipeline.errors import JobFailed
from pipeline.worker import outcome
from pipeline.worker.announce import PENDING_LIMIT, PROGRESS_INTERVAL_SECONDS, Announcer
from schemas.events import Event, JobEvent, UpscaleProgress, UpscaleRequested, UpscaleStarted, event_from
from schemas.failures import FailureCode
from schemas.stages import Stage
from tests.support.clock import FakeClock, run_virtual

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = UpscaleRequested(job_id="cat-1", tenant="zoo", source="https://example.com/cat.jpg", labels={"album": "7"})
OTHER = UpscaleRequested(job_id="cat-1", tenant="farm", source="https://example.com/cat.jpg")


def started(request: UpscaleRequested = REQUEST) -> UpscaleStarted:
    return UpscaleStarted(job_id=request.job_id, tenant=request.tenant)


def failed(request: UpscaleRequested = REQUEST) -> JobEvent:
    return outcome.failed(request, JobFailed(FailureCode.SOURCE_STATUS, "no"))


class Broker:
    """Hears what is said, a while later than it was said."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.heard: list[JobEvent] = []
        self.refusals = 0

    async def say(self, event: JobEvent) -> None:
        await asyncio.sleep(self.seconds)
        if self.refusals:
            self.refusals -= 1
            raise JobFailed(FailureCode.BROKER_UNAVAILABLE, "no")
        self.heard.append(event)

    async def conclude(self, event: Event) -> None:
        assert isinstance(event.data, JobEvent)
        await self.say(event.data)


def test_announcer_says_things_in_order_and_keeps_nobody_waiting() -> None:
    """What is announced arrives as it was announced, and the job that announced it has long gone on."""
    broker = Broker(seconds=1.0)

    async def scene() -> None:
        async with Announcer(broker.say, FakeClock()) as announcer:
            for done in range(3):
                announcer.announce(progress(done))
            assert broker.heard == []
            await asyncio.sleep(1.5)

    run_virtual(scene())
    assert broker.heard == [progress(0), progress(1), progress(2)]


def test_announcer_drops_what_cannot_be_said_and_goes_on() -> None:
    """Nobody's result depends on it: a broker that is away costs announcements, not jobs."""
    broker = Broker()
    broker.refusals = 1

    async def scene() -> None:
        async with Announcer(broker.say, FakeClock()) as announcer:
            announcer.announce(progress(1))
            announcer.announce(progress(2))
            await asyncio.sleep(1.0)

    with capture_logs() as logs:
        run_virtual(scene())
    assert broker.heard == [progress(2)]
    assert [(line["event"], line["code"]) for line in logs] == [("announcement_failed", "broker_unavailable")]


def test_announcer_holds_a_bounded_number_and_drops_the_rest() -> None:
    """A broker that has stopped answering costs no more memory than this."""
    broker = Broker(seconds=3600.0)

    async def scene() -> None:
        async with Announcer(broker.say, FakeClock()) as announcer:
            for done in range(PENDING_LIMIT + 3):
                announcer.announce(progress(done))
            await asyncio.sleep(7200.0)
            announcer.announce(progress(9999))
            await asyncio.sleep(7200.0)

    with capture_logs() as logs:
        run_virtual(scene())
    assert len(broker.heard) == PENDING_LIMIT + 1
    assert broker.heard[-1] == progress(9999)
    assert [line["event"] for line in logs] == ["announcement_dropped"] * 3


def test_leaving_the_announcer_waits_for_nothing() -> None:
    """A worker that stops does not wait for what may be lost, and leaves no task behind."""
    broker = Broker(seconds=3600.0)

    async def scene() -> float:
        async with Announcer(broker.say, FakeClock()) as announcer:
            announcer.announce(started())
            await asyncio.sleep(1.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return asyncio.get_running_loop().time()

    assert run_virtual(scene()) == 1.0
    assert broker.heard == []


def test_progress_is_told_at_most_so_often_and_names_the_job() -> None:
    """However many launches there are, a reader gets two events a second, with the labels that it knows the job by."""
    broker, clock = Broker(), FakeClock()

    async def scene() -> None:
        async with Announcer(broker.say, clock) as announcer:
            report = announcer.progress(REQUEST)
            for done in range(1, 101):
                clock.advance(PROGRESS_INTERVAL_SECONDS / 10)
                report(done, 100)
            await asyncio.sleep(1.0)

    run_virtual(scene())
    events = [event for event in broker.heard if isinstance(event, UpscaleProgress)]
    assert 9 <= len(events) <= 10
    assert {(event.job_id, event.tenant, event.stage, event.tiles_total) for event in events} == {
        ("cat-1", "zoo", Stage.BATCH, 100)
    }
    assert events[0].labels == {"album": "7"}
    assert [event.tiles_done for event in events] == sorted({event.tiles_done for event in events})


def test_progress_of_a_job_that_ends_at_once_is_not_told() -> None:
    """A small picture makes one event, its completion, however slow the device is."""
    broker, clock = Broker(), FakeClock()

    async def scene() -> None:
        async with Announcer(broker.say, clock) as announcer:
            announcer.progress(REQUEST)(1, 1)
            slow = announcer.progress(REQUEST)
            clock.advance(10 * PROGRESS_INTERVAL_SECONDS)
            slow(1, 1)
            await asyncio.sleep(1.0)

    run_virtual(scene())
    assert broker.heard == []


def test_nothing_is_heard_of_a_job_after_its_end() -> None:
    """What was announced and not yet said when the job ends is dropped; other jobs' announcements are not."""
    broker = Broker(seconds=1.0)

    async def scene() -> None:
        async with Announcer(broker.say, FakeClock()) as announcer:
            announcer.announce(started())
            announcer.announce(started(OTHER))
            await announcer.conclude(event_from(failed(), source="/test", time=NOW), broker.conclude)
            await asyncio.sleep(60.0)

    run_virtual(scene())
    assert sorted((event.type, event.tenant) for event in broker.heard) == sorted(
        [(started().type, "farm"), (failed().type, "zoo")]
    )


def test_what_was_said_before_the_end_stays_said() -> None:
    """Concluding takes nothing back."""
    broker = Broker(seconds=1.0)

    async def scene() -> None:
        async with Announcer(broker.say, FakeClock()) as announcer:
            announcer.announce(started())
            await asyncio.sleep(2.0)
            await announcer.conclude(event_from(failed(), source="/test", time=NOW), broker.conclude)

    run_virtual(scene())
    assert [event.type for event in broker.heard] == [started().type, failed().type]


def progress(done: int) -> UpscaleProgress:
    return UpscaleProgress(job_id="cat-1", tenant="zoo", stage=Stage.BATCH, tiles_done=done, tiles_total=10_000)
