"""What a real S3 server keeps of a job: who has it, how often it was begun, and the one end it has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import orjson
import pytest

from pipeline.errors import JobFailed
from pipeline.settings import StoreSettings
from pipeline.storage import jobs
from pipeline.storage.client import Store, connect
from pipeline.storage.jobs import Begun, Busy, Ended, JobKey, Rules, WornOut
from schemas.failures import FailureCode
from tests.support.s3_faults import HEALTHY, FaultyStore, StoreBehaviour, StoreFault, faulty_store
from tests.support.store import fresh_bucket
from tests.support.waiting import until

pytestmark = pytest.mark.integration

KEY = JobKey("acme", "job-1")
RACERS = 3
"""The server answers those who lose a race of conditional writes after about a second each."""
LOST = StoreBehaviour({StoreFault.LOSE_ANSWER: 1.0}, methods=frozenset({"PUT"}), times=1)


def worker(name: str, *, lease_seconds: float = 60.0, max_starts: int = 3) -> Rules:
    return Rules(name, lease_seconds, max_starts)


A, B = worker("a"), worker("b")
AT_ONCE = worker("b", lease_seconds=0.0)
"""Takes a job over without waiting."""


async def kept(store: Store, key: JobKey) -> object:
    """The job's object as any S3 client reads it; None when there is none."""
    listed = await store.s3.list_objects_v2(Bucket=store.settings.bucket, Prefix=key.path)
    if not listed.get("Contents"):
        return None
    answer = await store.s3.get_object(Bucket=store.settings.bucket, Key=key.path)
    async with answer["Body"] as stream:
        return orjson.loads(await stream.read())


def event(said_by: str) -> dict[str, str]:
    return {"id": "1", "said_by": said_by}


async def begun(store: Store, rules: Rules = A) -> Begun:
    found = await jobs.begin(store, KEY, rules, alone=True)
    assert isinstance(found, Begun)
    return found


@asynccontextmanager
async def behind_faults(settings: StoreSettings) -> AsyncIterator[tuple[Store, FaultyStore]]:
    """A client that knows the store by the proxy's address, on a bucket of its own."""
    async with (
        fresh_bucket(settings) as direct,
        faulty_store(settings.endpoint or "") as proxy,
        connect(direct.settings.model_copy(update={"endpoint": proxy.url})) as store,
    ):
        yield store, proxy


async def test_job_is_begun_once_and_left_to_the_worker_that_has_it(store: Store) -> None:
    """Another worker learns that it is busy, and changes nothing."""
    first = await begun(store)
    assert first.starts == 1
    assert await jobs.begin(store, KEY, B) == Busy()
    assert await jobs.touch(store, first, A) is not None


async def test_of_workers_that_begin_a_job_at_once_one_has_it(store: Store) -> None:
    """The others are told that it is busy."""
    found = await asyncio.gather(*(jobs.begin(store, KEY, worker(str(number))) for number in range(RACERS)))
    assert [type(each) for each in found].count(Begun) == 1
    assert found.count(Busy()) == RACERS - 1


async def test_of_workers_that_take_a_job_over_at_once_each_start_is_counted_once(store: Store) -> None:
    """Also without a lease, where a job may have several workers: none of the counts is lost."""
    await begun(store)
    takers = [worker(str(number), lease_seconds=0.0, max_starts=9) for number in range(RACERS)]
    found = await asyncio.gather(*(jobs.begin(store, KEY, taker) for taker in takers))
    assert sorted(each.starts for each in found if isinstance(each, Begun)) == [2, 3, 4]


async def test_lease_runs_out_by_the_stores_clock(store: Store) -> None:
    """A worker that gives no sign of life loses its job to whoever asks then, and the start is counted."""
    await begun(store, A)
    since = monotonic()
    patient = worker("b", lease_seconds=2.0)
    taken: list[Begun] = []

    async def free() -> bool:
        found = await jobs.begin(store, KEY, patient)
        taken.extend([found] if isinstance(found, Begun) else [])
        return bool(taken)

    await until(free)
    assert taken[0].starts == 2
    assert monotonic() - since > 1.0, "the store tells whole seconds, so one may be missing"


async def test_worker_that_meets_its_own_beginning_has_not_died_of_it(store: Store) -> None:
    """The record came back to the process that has the job: no lease holds it off, and no start is counted."""
    await begun(store)
    assert (await begun(store)).starts == 1


async def test_job_that_was_given_back_is_free_and_nobody_died_of_it(store: Store) -> None:
    """The next worker begins it as if it were the first, at once."""
    await jobs.give_back(store, await begun(store))
    assert (await begun(store, B)).starts == 1


async def test_job_that_was_given_back_with_its_starts_is_free_and_counted(store: Store) -> None:
    """The device of whoever began it died, and maybe of it."""
    first = await begun(store)
    await jobs.give_back(store, first, starts=first.starts)
    assert (await begun(store, B)).starts == 2


async def test_giving_back_what_another_has_taken_changes_nothing(store: Store) -> None:
    """A worker that was silent for too long has nothing to give."""
    silent = await begun(store)
    taken = await begun(store, AT_ONCE)
    await jobs.give_back(store, silent)
    assert await jobs.begin(store, KEY, A) == Busy()
    assert await jobs.touch(store, taken, B) is not None


async def test_sign_of_life_of_a_worker_that_has_lost_its_job_tells_it_so(store: Store) -> None:
    """And takes nothing away from the one that has it now."""
    silent = await begun(store)
    taken = await begun(store, AT_ONCE)
    assert await jobs.touch(store, silent, A) is None
    assert await jobs.touch(store, taken, B) is not None


async def test_job_that_killed_as_often_as_allowed_is_not_begun_again(store: Store) -> None:
    """Each start is counted before anything is done."""
    starts = [(await begun(store, worker(str(number), lease_seconds=0.0, max_starts=2))).starts for number in range(2)]
    assert starts == [1, 2]
    assert await jobs.begin(store, KEY, worker("c", lease_seconds=0.0, max_starts=2)) == WornOut(2)


async def test_end_is_for_good_and_told_to_whoever_comes_later(store: Store) -> None:
    """Word for word, to one who begins and to one who ends."""
    assert await jobs.end(store, KEY, event("a"), await begun(store)) == event("a")
    assert await jobs.begin(store, KEY, B) == Ended(event("a"))
    assert await jobs.end(store, KEY, event("b")) == event("a")
    assert await kept(store, KEY) == {"event": event("a")}


async def test_of_workers_that_end_a_job_at_once_one_is_right_and_all_say_so(store: Store) -> None:
    """Whoever has the job, has lost it, or never had it."""
    lost = await begun(store)
    held = await begun(store, AT_ONCE)
    found = await asyncio.gather(
        jobs.end(store, KEY, event("lost"), lost),
        jobs.end(store, KEY, event("held"), held),
        jobs.end(store, KEY, event("never had")),
    )
    assert found[0] == found[1] == found[2]
    assert await kept(store, KEY) == {"event": found[0]}


async def test_worker_that_has_lost_its_job_ends_it_if_nobody_has(store: Store) -> None:
    """Its work is as good as the other's, who then finds it ended."""
    lost = await begun(store)
    held = await begun(store, AT_ONCE)
    assert await jobs.end(store, KEY, event("lost"), lost) == event("lost")
    assert await jobs.touch(store, held, AT_ONCE) is None
    assert await jobs.end(store, KEY, event("held"), held) == event("lost")


async def test_job_that_nobody_began_can_be_ended(store: Store) -> None:
    """A request that is refused, or called off before it is made, ends without a beginning."""
    assert await jobs.end(store, KEY, event("a")) == event("a")
    assert await jobs.begin(store, KEY, B) == Ended(event("a"))


async def test_idle_job_is_ended_and_one_that_is_worked_on_or_has_ended_is_not(store: Store) -> None:
    """Whoever works on it ends it; what has ended stays as it ended."""
    busy, free, over, unseen = (JobKey("acme", name) for name in ("busy", "free", "over", "unseen"))
    await jobs.begin(store, busy, A)
    returned = await jobs.begin(store, free, A)
    assert isinstance(returned, Begun)
    await jobs.give_back(store, returned)
    await jobs.end(store, over, event("a"))
    ended = [await jobs.end_idle(store, key, event("b"), B) for key in (busy, free, over, unseen)]
    assert ended == [False, True, False, True]
    assert await kept(store, busy) == {"owner": "a", "starts": 1}
    assert await kept(store, over) == {"event": event("a")}


async def test_generations_and_tenants_have_jobs_of_their_own(store: Store) -> None:
    """The same job id of another tenant, or played again, is another job."""
    await jobs.end(store, KEY, event("a"))
    for key in (JobKey("acme", "job-1", replay=1), JobKey("other", "job-1")):
        assert isinstance(await jobs.begin(store, key, B), Begun)


async def test_beginning_whose_answer_is_lost_is_one_start(store_settings: StoreSettings) -> None:
    """The repeat meets its own write; a picture is not suspected for a bad line, be it with its last start."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(LOST)
        assert (await begun(store, worker("a", max_starts=1))).starts == 1
        assert proxy.hits == {StoreFault.LOSE_ANSWER: 1}


async def test_taking_over_whose_answer_is_lost_is_one_start(store_settings: StoreSettings) -> None:
    """As the first beginning."""
    async with behind_faults(store_settings) as (store, proxy):
        await begun(store, A)
        proxy.switch(LOST)
        assert (await begun(store, worker("b", lease_seconds=0.0, max_starts=2))).starts == 2
        assert proxy.hits == {StoreFault.LOSE_ANSWER: 1}


async def test_end_whose_answer_is_lost_is_the_end_that_was_written(store_settings: StoreSettings) -> None:
    """The repeat meets its own end and says it."""
    async with behind_faults(store_settings) as (store, proxy):
        held = await begun(store)
        proxy.switch(LOST)
        assert await jobs.end(store, KEY, event("a"), held) == event("a")
        assert await kept(store, KEY) == {"event": event("a")}
        assert proxy.hits == {StoreFault.LOSE_ANSWER: 1}


async def test_idle_end_whose_answer_is_lost_is_ours_to_say(store_settings: StoreSettings) -> None:
    """Otherwise nobody would say it until the job's record comes, if it ever does."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(LOST)
        assert await jobs.end_idle(store, KEY, event("a"), A)
        assert proxy.hits == {StoreFault.LOSE_ANSWER: 1}


async def test_store_that_is_away_is_told_by_its_code_and_nothing_is_begun(store_settings: StoreSettings) -> None:
    """So that the breaker can wait for it."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(StoreBehaviour({StoreFault.SLOW_DOWN: 1.0}))
        for asking in (jobs.begin(store, KEY, A), jobs.end(store, KEY, event("a"))):
            with pytest.raises(JobFailed) as failed:
                await asking
            assert failed.value.code is FailureCode.STORE_UNAVAILABLE
        proxy.switch(HEALTHY)
        assert await kept(store, KEY) is None
