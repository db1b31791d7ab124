"""Guarantees of pipeline.worker.claims."""

import asyncio

import pytest

from pipeline.errors import DeviceDied, ShuttingDown
from pipeline.storage.jobs import Begun, Busy, JobKey, Rules
from pipeline.worker.breaker import Breaker
from pipeline.worker.claims import HAND_BACK_SECONDS, Claims
from schemas.events import Event, UpscaleCanceled, UpscaleExpired
from schemas.failures import FailureCode
from tests.support.clock import run_virtual
from tests.support.exposition import sample
from tests.support.memory_jobs import EPOCH, MemoryJobs

KEY = JobKey("acme", "job-1")
LEASE = 15.0
LONG = 10 * LEASE
CANCELED = UpscaleCanceled(job_id="job-1", tenant="acme")
EXPIRED = UpscaleExpired(job_id="job-1", tenant="acme", deadline=EPOCH)


def claims(objects: MemoryJobs, name: str = "a", *, lease_seconds: float = LEASE) -> Claims:
    """Of a worker of this name."""
    breaker = Breaker("test", FailureCode.STORE_UNAVAILABLE, changed=lambda: None)
    return Claims(objects.store(), Rules(name, lease_seconds, max_starts=3), breaker, "/test")


async def begun(ours: Claims) -> Begun:
    found = await ours.begin(KEY)
    assert isinstance(found, Begun)
    return found


async def test_ended_job_is_answered_with_the_event_it_ended_with() -> None:
    """The same id, time and content, from whichever worker it is asked."""
    objects = MemoryJobs()
    said = await claims(objects, "a").end(KEY, CANCELED)
    assert await claims(objects, "b").begin(KEY) == said
    assert said.data == CANCELED


async def test_end_that_another_worker_was_first_to_write_is_the_one_to_say() -> None:
    """The work of whoever comes second is not told: two ends of one job would be."""
    objects = MemoryJobs()
    ours, theirs = claims(objects, "a"), claims(objects, "b")
    async with ours.hold(await begun(ours)) as held:
        first = await theirs.end(KEY, CANCELED)
        assert await ours.end(KEY, EXPIRED, held) == first


async def test_end_of_a_replay_has_an_id_of_its_own() -> None:
    """Whoever remembers the ids it has acted on would take it for a repeat of the first end."""
    objects = MemoryJobs()
    ids = [(await claims(objects).end(JobKey("acme", "job-1", replay), CANCELED)).id for replay in (0, 1, 2, 1)]
    assert len(set(ids)) == 3
    assert ids[1] == ids[3]


def test_job_is_ours_for_as_long_as_we_work_on_it() -> None:
    """Signs of life keep a job that takes longer than the lease; nobody else begins it at any time."""

    async def asked_meanwhile() -> set[object]:
        objects = MemoryJobs()
        ours, theirs = claims(objects, "a"), claims(objects, "b")
        async with ours.hold(await begun(ours)) as held:
            answers = set()
            for _ in range(int(LONG)):
                await asyncio.sleep(1.0)
                answers.add(await theirs.begin(KEY))
            await ours.end(KEY, CANCELED, held)
        return answers

    assert run_virtual(asked_meanwhile()) == {Busy()}


def test_worker_without_a_lease_gives_no_signs_of_life() -> None:
    """A single worker has nobody to tell; each sign is a request to the store."""

    async def written() -> list[str]:
        objects = MemoryJobs()
        ours = claims(objects, lease_seconds=0.0)
        async with ours.hold(await begun(ours)) as held:
            await asyncio.sleep(LONG)
            await ours.end(KEY, CANCELED, held)
        return objects.log

    assert run_virtual(written()) == ["held", "ended"]


async def test_job_that_was_given_up_is_free_at_once_and_nobody_died_of_it() -> None:
    """A worker that stops does not make the next one wait for its lease."""
    objects = MemoryJobs()
    ours = claims(objects, "a")
    with pytest.raises(ShuttingDown):
        async with ours.hold(await begun(ours)):
            raise ShuttingDown("the batcher is closed")
    assert (await begun(claims(objects, "b"))).starts == 1


async def test_job_whose_device_died_is_free_at_once_and_stays_counted() -> None:
    """It may be what the device died of, as with a worker that was killed."""
    objects = MemoryJobs()
    for worker, starts in (("a", 1), ("b", 2)):
        ours = claims(objects, worker)
        with pytest.raises(DeviceDied):
            async with ours.hold(await begun(ours)):
                raise DeviceDied("the device stopped working")
        assert objects.body(KEY) == {"owner": "", "starts": starts}


async def test_job_that_has_ended_is_not_given_back() -> None:
    """Nothing is asked of the store after the end."""
    objects = MemoryJobs()
    ours = claims(objects)
    async with ours.hold(await begun(ours)) as held:
        await ours.end(KEY, CANCELED, held)
    assert (objects.log, objects.tries) == (["held", "ended"], 2)


def test_worker_learns_that_another_has_taken_its_job() -> None:
    """It was silent for too long, as one that was stopped and goes on; it takes nothing back."""

    async def lost() -> tuple[Begun | None, dict[str, object]]:
        objects = MemoryJobs()
        ours, theirs = claims(objects, "a"), claims(objects, "b", lease_seconds=0.0)
        async with ours.hold(await begun(ours)) as held:
            await theirs.begin(KEY)
            await asyncio.sleep(LEASE)
            seen = held.begun
        return seen, objects.body(KEY)

    assert run_virtual(lost()) == (None, {"owner": "b", "starts": 2})


def test_signs_of_life_go_on_after_the_store_was_away() -> None:
    """The job is still ours when the store is back."""

    async def back() -> object:
        objects = MemoryJobs()
        ours, theirs = claims(objects, "a"), claims(objects, "b")
        async with ours.hold(await begun(ours)):
            objects.away = True
            await asyncio.sleep(LONG)
            objects.away = False
            await asyncio.sleep(LEASE)
            return await theirs.begin(KEY)

    assert run_virtual(back()) == Busy()


def test_store_that_does_not_answer_holds_up_no_stop() -> None:
    """The lease runs out by itself."""

    async def stop() -> float:
        objects = MemoryJobs()
        ours = claims(objects)
        async with ours.hold(await begun(ours)):
            objects.hanging = True
        return asyncio.get_running_loop().time()

    assert run_virtual(stop()) <= HAND_BACK_SECONDS


def test_beginning_and_ending_wait_for_a_store_that_is_away() -> None:
    """No job fails of it."""

    async def outage() -> tuple[int, Event]:
        objects = MemoryJobs()
        ours = claims(objects)
        objects.away = True
        asyncio.get_running_loop().call_later(60.0, setattr, objects, "away", False)
        found = await begun(ours)
        objects.away = True
        asyncio.get_running_loop().call_later(60.0, setattr, objects, "away", False)
        return found.starts, await ours.end(KEY, CANCELED)

    starts, event = run_virtual(outage())
    assert (starts, event.data) == (1, CANCELED)


async def test_operator_sees_that_a_job_was_begun_again() -> None:
    """A worker died with it, or of it."""
    objects, before = MemoryJobs(), sample("upscale_job_restarts_total")
    await begun(claims(objects, "a", lease_seconds=0.0))
    await begun(claims(objects, "b", lease_seconds=0.0))
    assert sample("upscale_job_restarts_total") - before == 1


async def test_job_that_nobody_works_on_is_called_off_and_the_event_is_ours_to_say() -> None:
    """A worker that is handed its record later is told the same event."""
    objects = MemoryJobs()
    event = await claims(objects, "a").call_off(KEY, CANCELED)
    assert event is not None
    assert event == await claims(objects, "b").begin(KEY)


async def test_job_that_another_works_on_is_not_ours_to_call_off() -> None:
    """That worker hears of it too, and ends the work."""
    objects = MemoryJobs()
    await begun(claims(objects, "a"))
    assert await claims(objects, "b").call_off(KEY, CANCELED) is None
