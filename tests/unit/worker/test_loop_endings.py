"""Guarantees of pipeline.worker.loop when something goes wrong, or comes to its end."""

import asyncio

import pytest

from pipeline.errors import DeviceDied, JobExpired, JobFailed, ServiceUnreachable, ShuttingDown
from pipeline.kafka.deadletter import Why
from pipeline.kafka.records import Received
from pipeline.telemetry import tracing
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from schemas.events import Event, JobEvent, UpscaleCompleted, UpscaleExpired, UpscaleFailed
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.clock import run_virtual
from tests.support.exposition import sample
from tests.support.loop_scene import DONE, LAST_ATTEMPT, Scene, received

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DATED = b'{"job_id": "late", "source": "https://example.com/a.png", "deadline": "2026-01-02T00:00:00Z"}'


def in_flight() -> float:
    return sum(sample("upscale_in_flight_jobs", lane=lane) for lane in Lane)


async def test_worker_gives_up_what_a_dead_device_held_and_lets_go_of_none_of_it() -> None:
    """Its caller hears nothing and its offset stays, so another worker does it; what had ended before is let go of."""
    scene = Scene(received(1), received(2))

    async def die(job: Job) -> Done:
        if job.request.job_id == "job-1":
            raise DeviceDied("the device stopped working")
        return DONE

    scene.doing = die
    await scene.run(jobs_per_topic=1)
    assert [event.job_id for event in scene.said(JobEvent)] == ["job-2"]
    assert scene.finished == [2]


async def test_worker_says_expired_and_not_failed_when_the_deadline_passed() -> None:
    """The caller set the deadline, so nothing failed; the request is settled all the same."""
    scene = Scene(received(1, DATED))

    async def expire(job: Job) -> Done:
        raise JobExpired

    scene.doing = expire
    await scene.run()
    assert [type(event) for event in scene.said(JobEvent)] == [UpscaleExpired]
    assert scene.finished == [1]


async def test_result_that_no_event_can_tell_of_is_an_internal_failure_of_its_job_alone() -> None:
    """A fault in what a job ends with must not take the jobs beside it along."""
    scene = Scene(received(1, headers=LAST_ATTEMPT), received(2))
    impossible = Done(DONE.stored, DONE.provenance)
    object.__setattr__(impossible, "stored", None)

    async def end(job: Job) -> Done:
        return impossible if job.request.job_id == "job-1" else DONE

    scene.doing = end
    await scene.run()
    failed = scene.said(UpscaleFailed)[0]
    assert isinstance(failed, UpscaleFailed)
    assert (failed.job_id, failed.failure.code) == ("job-1", FailureCode.INTERNAL)
    assert [event.job_id for event in scene.said(UpscaleCompleted)] == ["job-2"]


async def test_worker_repeats_a_dead_letter_until_the_broker_has_it() -> None:
    """A record that was let go of before it was parked would be lost without a trace."""
    scene = Scene(received(1, b"not json"))
    refusals = iter([True, False])

    async def park(record: Received, why: Why) -> None:
        if next(refusals):
            raise JobFailed(FailureCode.BROKER_UNAVAILABLE, "no")
        scene.log.append(("park", why.reason))

    scene.parking = park
    await scene.run()
    assert [what for what, _ in scene.log] == ["take", "pause", "park", "finish"]


async def test_outcome_that_the_broker_does_not_take_holds_up_no_other_job() -> None:
    """Each job waits for its own acknowledgement."""
    scene = Scene(received(1), received(2))
    other_said = asyncio.Event()

    async def say(event: Event) -> None:
        if event.data.job_id == "job-1" and not other_said.is_set():
            await other_said.wait()
            raise JobFailed(FailureCode.BROKER_UNAVAILABLE, "no")
        scene.log.append(("say", event.data))
        other_said.set()

    scene.saying = say
    await asyncio.wait_for(scene.run(), timeout=5)
    assert [event.job_id for event in scene.said(UpscaleCompleted)] == ["job-2", "job-1"]
    assert scene.finished == [1, 2]


def test_stopping_finishes_what_is_held_and_leaves_the_rest() -> None:
    """What waits in the topic is another worker's; what was begun is told and let go of."""
    scene = Scene(*(received(offset) for offset in range(5)))

    async def work(job: Job) -> Done:
        await asyncio.sleep(1.0)
        return DONE

    async def stopped() -> float:
        scene.doing = work
        worker = scene.worker(jobs_per_topic=2)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.5)
        worker.stop()
        await running
        return asyncio.get_running_loop().time()

    assert run_virtual(stopped()) == 1.0
    assert [offset for what, offset in scene.log if what == "take"] == [0, 1]
    assert scene.finished == [0, 1]


def test_stopping_ends_a_worker_that_waits_for_records() -> None:
    """An idle worker stops at once."""
    scene = Scene()
    scene.stays_open = True

    async def stopped() -> float:
        worker = scene.worker()
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(3.0)
        worker.stop()
        await running
        return asyncio.get_running_loop().time()

    assert run_virtual(stopped()) == 3.0


async def test_worker_raises_what_ended_the_records_and_not_a_group_of_it() -> None:
    """The reason is one sentence for the operator: the broker is gone, at which address."""
    scene = Scene()
    scene.ends_with = ServiceUnreachable("broker", "127.0.0.1:9092", "UPSCALE_KAFKA__SERVERS", "gone")
    with pytest.raises(ServiceUnreachable, match="gone"):
        await scene.run()


@pytest.mark.parametrize("error", [None, JobFailed(FailureCode.SOURCE_STATUS, "no"), ShuttingDown("dead")])
def test_worker_counts_as_in_flight_what_it_holds_and_nothing_more(error: Exception | None) -> None:
    """However a job ends, the gauge that tells an operator what a worker holds goes back."""
    scene, before = Scene(received(1), received(2)), in_flight()
    seen: list[float] = []

    async def end(job: Job) -> Done:
        await asyncio.sleep(1.0)
        seen.append(in_flight() - before)
        if error is not None:
            raise error
        return DONE

    scene.doing = end
    run_virtual(scene.run())
    assert (max(seen), in_flight() - before) == (2, 0)


async def test_outcome_is_told_in_the_trace_that_the_request_came_in() -> None:
    """Whoever asked finds the answer beside the question."""
    scene = Scene(received(1, headers=(("traceparent", TRACEPARENT),)), received(2))
    traces: dict[str, bytes] = {}

    async def say(event: Event) -> None:
        traces[event.data.job_id] = dict(tracing.inject()).get("traceparent", b"")

    scene.saying = say
    await scene.run()
    assert traces["job-1"].split(b"-")[1] == TRACEPARENT.split(b"-")[1]
    assert TRACEPARENT.split(b"-")[1] not in traces["job-2"]


async def test_job_is_counted_once_by_how_it_ended() -> None:
    """The error ratio that an operator is woken by is made of these."""
    scene = Scene(received(1))
    labels = {"status": "failed", "code": "source_status", "lane": "bulk", "model": "realesrgan-x4plus"}
    before = sample("upscale_jobs_total", **labels)

    async def fail(job: Job) -> Done:
        raise JobFailed(FailureCode.SOURCE_STATUS, "no")

    scene.doing = fail
    await scene.run()
    assert sample("upscale_jobs_total", **labels) - before == 1


@pytest.mark.parametrize(("headers", "then"), [((), "hand on"), (LAST_ATTEMPT, "park")])
async def test_record_that_cannot_be_settled_is_tried_again_and_then_parked_and_costs_nobody_else(
    headers: tuple[tuple[str, bytes], ...], then: str
) -> None:
    """A fault outside of the job's own work, which would end one worker after another, ends none."""
    scene = Scene(received(1, headers=headers), received(2))

    async def say(event: Event) -> None:
        if event.data.job_id == "job-1":
            raise ZeroDivisionError
        scene.log.append(("say", event.data))

    scene.saying = say
    await scene.run()
    assert then in [what for what, _ in scene.log]
    assert [event.job_id for event in scene.said(UpscaleCompleted)] == ["job-2"]
    assert scene.finished == [1, 2]
