"""Guarantees of pipeline.worker.loop."""

import asyncio

import orjson
import pytest

from pipeline.errors import JobFailed
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from schemas.events import Event, UpscaleCompleted, UpscaleFailed
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.loop_scene import DONE, LAST_ATTEMPT, Scene, received


async def test_worker_lets_go_of_a_record_only_after_its_outcome_is_acknowledged() -> None:
    """Publish before commit: a crash in between repeats an event and loses nothing."""
    scene = Scene(received(4))
    await scene.run()
    assert [what for what, _ in scene.log] == ["take", "announce", "end", "say", "finish"]
    assert isinstance(scene.log[3][1], UpscaleCompleted)


async def test_worker_says_why_a_job_failed_and_goes_on_with_the_next() -> None:
    """A job that cannot be done ends with a failure event, and stops nobody else."""
    scene = Scene(received(1), received(2))

    async def fail_first(job: Job) -> Done:
        if job.request.job_id == "job-1":
            raise JobFailed(FailureCode.SOURCE_STATUS, "source: got status 404")
        return DONE

    scene.doing = fail_first
    await scene.run()
    failed = scene.said(UpscaleFailed)[0]
    assert isinstance(failed, UpscaleFailed)
    assert (failed.job_id, failed.failure.code) == ("job-1", FailureCode.SOURCE_STATUS)
    assert [event.job_id for event in scene.said(UpscaleCompleted)] == ["job-2"]
    assert sorted(offset for what, offset in scene.log if what == "finish") == [1, 2]


async def test_worker_turns_a_crash_of_our_own_into_an_internal_failure() -> None:
    """A bug in one step costs one job, not the worker, and in the end the caller is told that it was us."""
    scene = Scene(received(1, headers=LAST_ATTEMPT))

    async def crash(job: Job) -> Done:
        raise ZeroDivisionError

    scene.doing = crash
    await scene.run()
    failed = scene.said(UpscaleFailed)[0]
    assert isinstance(failed, UpscaleFailed)
    assert failed.failure.code is FailureCode.INTERNAL


@pytest.mark.parametrize("value", [b"", b"not json", b"[]"])
async def test_worker_parks_what_no_job_can_be_tied_to(value: bytes) -> None:
    """Nobody can be told, so the record itself is kept, and only then let go of."""
    scene = Scene(received(1, value))
    await scene.run()
    assert [what for what, _ in scene.log] == ["take", "park", "finish"]


async def test_worker_answers_bad_options_without_doing_anything() -> None:
    """The field is named, and no work is done."""
    value = orjson.dumps({"job_id": "j", "source": "https://example.com/a.png", "options": {"scale": 11}})
    scene = Scene(received(1, value))
    await scene.run()
    failed = scene.said(UpscaleFailed)[0]
    assert isinstance(failed, UpscaleFailed)
    assert failed.failure.code is FailureCode.INVALID_OPTIONS
    assert failed.failure.details["field"] == "options.scale"
    assert [what for what, _ in scene.log] == ["take", "end", "say", "finish"]


async def test_worker_repeats_an_outcome_until_the_broker_has_it() -> None:
    """An outcome that exists is never dropped, however long the broker is away."""
    scene = Scene(received(1))
    refusals = iter([True, True, False])

    async def say(event: Event) -> None:
        if next(refusals):
            raise JobFailed(FailureCode.BROKER_UNAVAILABLE, "no")
        scene.log.append(("say", event.data))

    scene.saying = say
    await scene.run()
    assert [what for what, _ in scene.log] == ["take", "announce", "end", "pause", "pause", "say", "finish"]


async def test_worker_holds_no_more_jobs_of_a_lane_than_allowed_and_never_lets_one_lane_block_the_other() -> None:
    """A bulk run that fills its places leaves the interactive ones free."""
    scene = Scene(*(received(n) for n in range(6)), received(100, lane=Lane.INTERACTIVE))
    full, release = asyncio.Event(), asyncio.Event()
    running: set[str] = set()
    most = 0

    async def hold(job: Job) -> Done:
        nonlocal most
        if job.lane is Lane.INTERACTIVE:
            await full.wait()
            release.set()
            return DONE
        running.add(job.request.job_id)
        most = max(most, len(running))
        if len(running) == 2:
            full.set()
        await release.wait()
        running.discard(job.request.job_id)
        return DONE

    scene.doing = hold
    await asyncio.wait_for(scene.run(jobs_per_topic=2), timeout=5)
    assert most == 2
    assert len(scene.said(UpscaleCompleted)) == 7


async def test_worker_lets_go_of_nothing_when_it_is_cancelled() -> None:
    """What was given up stays uncommitted, so another worker does it."""
    scene = Scene(received(1))
    begun = asyncio.Event()

    async def never(job: Job) -> Done:
        begun.set()
        await asyncio.Event().wait()
        return DONE

    scene.doing = never
    running = asyncio.ensure_future(scene.run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [what for what, _ in scene.log] == ["take", "announce", "give back"]
