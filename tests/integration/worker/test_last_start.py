"""A job that is begun for the last time, on a real store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.storage import jobs
from pipeline.storage.client import Store
from pipeline.storage.jobs import Begun, JobKey, LastStart, Rules, WornOut
from pipeline.worker.breaker import Breaker
from pipeline.worker.claims import Claims
from schemas.failures import FailureCode
from tests.support.store import fresh_bucket, running_store

pytestmark = pytest.mark.integration
FIRST, SECOND = JobKey("zoo", "cat-1"), JobKey("zoo", "cat-2")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with running_store(tmp_path) as settings, fresh_bucket(settings) as store:
        yield store


def rules(owner: str) -> Rules:
    return Rules(owner, lease_seconds=0.0, max_starts=3)


def claims_of(store: Store) -> Claims:
    breaker = Breaker("object store", FailureCode.STORE_UNAVAILABLE, changed=lambda: None)
    return Claims(store, rules("last"), breaker, "/test")


async def begun_twice(store: Store, key: JobKey) -> None:
    for owner in ("first", "second"):
        assert isinstance(await jobs.begin(store, key, rules(owner)), Begun)


async def test_last_start_is_given_to_who_has_nothing_of_its_kind_beside_it_and_no_other_follows(store: Store) -> None:
    """A job that kills is begun as often as is allowed, and the last time without those it would take along."""
    await begun_twice(store, FIRST)
    assert await jobs.begin(store, FIRST, rules("third")) == LastStart()
    found = await jobs.begin_alone(store, FIRST, rules("third"))
    assert isinstance(found, Begun)
    assert found.starts == 3
    assert await jobs.begin(store, FIRST, rules("fourth")) == WornOut(3)


async def test_jobs_have_their_last_starts_one_after_the_other_and_others_wait_for_none(store: Store) -> None:
    """The second is not counted before the first has ended; a job that was never begun goes on beside them."""
    for key in (FIRST, SECOND):
        await begun_twice(store, key)
    claims = claims_of(store)
    first = await claims.begin(FIRST)
    assert isinstance(first, Begun)
    async with claims.hold(first):
        waiting = asyncio.create_task(claims.begin(SECOND))
        assert isinstance(await claims.begin(JobKey("zoo", "fresh")), Begun)
        assert await jobs.find(store, SECOND) == {"owner": "second", "starts": 2}
        assert not waiting.done()
    second = await waiting
    assert isinstance(second, Begun)
    assert second.starts == 3


async def test_worn_out_job_lets_the_next_have_its_last_start(store: Store) -> None:
    """What has nothing to hold holds up nobody."""
    for key in (FIRST, SECOND):
        await begun_twice(store, key)
    await jobs.begin_alone(store, FIRST, rules("third"))
    claims = claims_of(store)
    assert isinstance(await claims.begin(FIRST), WornOut)
    assert isinstance(await claims.begin(SECOND), Begun)
