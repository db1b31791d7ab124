"""Guarantees of pipeline.worker.running."""

import asyncio

import pytest

from pipeline.errors import CalledOff, ShuttingDown
from pipeline.storage.jobs import JobKey
from pipeline.worker import running as running_module
from pipeline.worker.running import Running

KEY = JobKey("acme", "job-1")
REPLAYED = JobKey("acme", "job-1", replay=1)


class Work:
    """Work that takes until `finish`, and fails once if at all; `begun` counts how often it was begun."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.under_way = asyncio.Event()
        self.finish = asyncio.Event()
        self._error = error

    async def __call__(self) -> str:
        self.begun += 1
        self.under_way.set()
        await self.finish.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return "done"


async def pair(running: Running, work: Work) -> tuple["asyncio.Task[str]", "asyncio.Task[str]"]:
    """The same job twice, the first under way."""
    first = asyncio.create_task(running.once(KEY, work, twin="twin"))
    await work.under_way.wait()
    return first, asyncio.create_task(running.once(KEY, work, twin="twin"))


async def test_record_that_comes_again_waits_for_its_twin_and_executes_nothing() -> None:
    """After a rebalance; it may be let go of as soon as the first has ended well, and not before."""
    work = Work()
    first, second = await pair(Running(), work)
    assert not (await asyncio.wait({second}, timeout=0))[0]
    work.finish.set()
    assert (await first, await second, work.begun) == ("done", "twin", 1)


async def test_twin_of_a_job_that_was_given_up_stays_uncommitted() -> None:
    """Nobody has done it, so another worker must be handed the record."""
    work = Work(ShuttingDown("the device stopped working"))
    first, second = await pair(Running(), work)
    work.finish.set()
    with pytest.raises(ShuttingDown):
        await first
    with pytest.raises(ShuttingDown):
        await second


async def test_twin_of_a_job_whose_worker_is_cancelled_stays_uncommitted() -> None:
    """Both records are handed out again elsewhere."""
    first, second = await pair(Running(), Work())
    await asyncio.wait({second}, timeout=0)
    first.cancel()
    with pytest.raises(ShuttingDown):
        await second
    assert first.cancelled()


async def test_twin_of_a_job_that_could_not_be_settled_settles_it() -> None:
    """The worker goes on, so no other would be handed the record, and nothing after it could be committed."""
    first, second = await pair(Running(), work := Work(ZeroDivisionError()))
    await asyncio.wait({second}, timeout=0)
    work.finish.set()
    with pytest.raises(ZeroDivisionError):
        await first
    assert (await second, work.begun) == ("done", 2)


async def test_twin_that_leaves_does_not_take_the_first_along() -> None:
    """The first holds the work."""
    work = Work()
    first, second = await pair(Running(), work)
    await asyncio.wait({second}, timeout=0)
    second.cancel()
    await asyncio.wait({second})
    work.finish.set()
    assert (second.cancelled(), await first) == (True, "done")


async def test_job_that_ended_and_comes_again_is_settled_again() -> None:
    """What it ended with is known to the store and not kept here."""
    running, work = Running(), Work()
    work.finish.set()
    await running.once(KEY, work, twin="twin")
    assert (await running.once(KEY, work, twin="twin"), work.begun) == ("done", 2)


async def test_generations_of_a_job_are_settled_side_by_side() -> None:
    """A replay is a job of its own."""
    running, work, replayed = Running(), Work(), Work()
    first = asyncio.create_task(running.once(KEY, work, twin="twin"))
    await work.under_way.wait()
    replayed.finish.set()
    assert await running.once(REPLAYED, replayed, twin="twin") == "done"
    work.finish.set()
    await first


async def test_job_that_is_called_off_ends_so_and_at_once() -> None:
    """Its work is cancelled, and its caller knows that it was not the worker that stops."""
    running, work = Running(), Work()
    doing = asyncio.create_task(running.do(KEY, work()))
    await work.under_way.wait()
    assert running.call_off("acme", "job-1")
    with pytest.raises(CalledOff):
        await doing


async def test_calling_off_reaches_a_replay_too_and_nobody_else() -> None:
    """Its caller knows the job by its id, not by how often it was played again."""
    running, works = Running(), [Work(), Work(), Work()]
    keys = [REPLAYED, JobKey("acme", "job-2"), JobKey("other", "job-1")]
    doing = [asyncio.create_task(running.do(key, work())) for key, work in zip(keys, works, strict=True)]
    await asyncio.gather(*(work.under_way.wait() for work in works))
    assert running.call_off("acme", "job-1")
    for work in works:
        work.finish.set()
    replayed, *others = await asyncio.gather(*doing, return_exceptions=True)
    assert isinstance(replayed, CalledOff)
    assert others == ["done", "done"]


async def test_worker_that_stops_cancels_a_job_without_calling_it_off() -> None:
    """Its caller still wants the result: another worker will make it."""
    running, work = Running(), Work()
    doing = asyncio.create_task(running.do(KEY, work()))
    await work.under_way.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing


async def test_calling_off_what_is_not_here_ends_nothing_and_keeps_it_from_beginning() -> None:
    """Jobs of the same name belong to others when their tenant is another one."""
    running, work = Running(), Work()
    assert not running.call_off("acme", "job-1")
    with pytest.raises(CalledOff):
        await running.do(KEY, work())
    work.finish.set()
    assert await running.do(JobKey("zeta", "job-1"), work()) == "done"


async def test_only_so_many_cancellations_are_kept_in_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker lives for months; the oldest go first."""
    monkeypatch.setattr(running_module, "REMEMBERED", 2)
    running, work = Running(), Work()
    for name in ("job-1", "job-2", "job-3"):
        running.call_off("acme", name)
    work.finish.set()
    assert await running.do(KEY, work()) == "done"
    with pytest.raises(CalledOff):
        await running.do(JobKey("acme", "job-2"), work())
