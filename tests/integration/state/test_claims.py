"""Guarantees of pipeline.state.claims, on SQLite and on PostgreSQL."""

import asyncio
from collections import Counter

import pytest

from pipeline.state.claims import claim
from pipeline.state.database import Database
from pipeline.state.deliveries import release
from pipeline.state.endpoints import disable, enable, find
from pipeline.state.health import FIRST_HOLD_SECONDS, OPENS_AFTER
from pipeline.state.records import Endpoint, Outcome, PendingDelivery
from tests.support.deliveries import EXHAUSTED, LEASE, NOON, attempt, claimed, planned, recorded, registered, room

pytestmark = pytest.mark.integration


def ids(deliveries: tuple[PendingDelivery, ...]) -> set[str]:
    return {one.id for one in deliveries}


async def fail(database: Database, endpoint: Endpoint, times: int, now: float) -> None:
    """So many attempts at it that fail, one after the other."""
    for number in range(times):
        (key,) = await planned(database, endpoint, created_at=now)
        made = [one for one in await claimed(database, now) if one.id == key]
        failed = [attempt(one, Outcome.TIMEOUT, EXHAUSTED, at=now + number - 0.5) for one in made]
        await recorded(database, failed, now + number)


async def test_claim_gives_what_was_planned(database: Database) -> None:
    endpoint = await registered(database)
    (key,) = await planned(database, endpoint)
    (one,) = await claimed(database)
    assert (key, endpoint, 0, 1) == (one.id, one.endpoint, one.attempts, one.number)
    assert (one.body, one.url) == (b'{"type":"upscale.completed"}', "https://example.com/hook?token=secret")


async def test_claim_takes_only_what_is_due_and_what_nobody_has(database: Database) -> None:
    """Who dies with a claim loses it when its time is up, and no earlier."""
    endpoint = await registered(database)
    await planned(database, endpoint, created_at=NOON + 1)
    assert await claimed(database, NOON) == ()
    assert len(await claimed(database, NOON + 1)) == 1
    assert await claimed(database, NOON + LEASE) == ()
    assert len(await claimed(database, NOON + 1 + LEASE)) == 1


async def test_claim_leaves_disabled_endpoints_alone_until_they_are_enabled(database: Database) -> None:
    endpoint = await registered(database)
    keys = await planned(database, endpoint, 2)
    async with database.write() as connection:
        await disable(connection, endpoint.id, "owner", NOON)
    assert await claimed(database) == ()
    async with database.write() as connection:
        await enable(connection, endpoint.id)
    assert set(keys) == ids(await claimed(database))


async def test_endpoint_with_a_thousand_due_deliveries_takes_its_slots_and_hides_nobody(database: Database) -> None:
    """Its deliveries are the older ones; each of the others gets what it has."""
    many = await registered(database, host="many.example")
    few = [await registered(database, host=f"few-{number}.example") for number in range(3)]
    await planned(database, many, 1000, created_at=NOON - 1000)
    for endpoint in few:
        await planned(database, endpoint)
    got = Counter(one.endpoint.id for one in await claimed(database))
    assert Counter({many.id: 5, **{one.id: 1 for one in few}}) == got
    assert await claimed(database, busy={many.id: 5}) == ()
    assert len(await claimed(database, busy={many.id: 3})) == 2


async def test_endpoints_of_one_host_share_its_slots(database: Database) -> None:
    for _ in range(3):
        await planned(database, await registered(database), 5)
    await planned(database, await registered(database, host="other.example"), 5)
    got = Counter(one.endpoint.host for one in await claimed(database, per_host=7, busy_hosts={"example.com": 1}))
    assert Counter({"example.com": 6, "other.example": 5}) == got


async def test_claims_come_to_every_endpoint_when_there_are_more_than_they_can_take(database: Database) -> None:
    """All have more waiting than they may have under way; seven at a time are taken, and none is left out."""
    endpoints = [await registered(database, host=f"{number}.example") for number in range(10)]
    for endpoint in endpoints:
        await planned(database, endpoint, 50)
    start, got = "", Counter[str]()
    for _ in range(10):
        async with database.write() as connection:
            taken = await claim(connection, room(7, start=start), NOON, LEASE)
        start = taken.start
        got.update(one.endpoint.id for one in taken.deliveries)
    assert {one.id for one in endpoints} == got.keys()
    assert got.total() == 70
    assert max(got.values()) <= 2 * 5


async def test_endpoint_that_keeps_failing_is_held_and_then_probed_once(database: Database) -> None:
    """Two dispatchers ask; one of them may probe it, until its lease runs out or it gives the claim back."""
    endpoint = await registered(database)
    await fail(database, endpoint, OPENS_AFTER, NOON)
    await planned(database, endpoint, 3)
    held_until = NOON + OPENS_AFTER - 1 + FIRST_HOLD_SECONDS
    assert await claimed(database, held_until - 0.001) == ()
    (probe,) = await claimed(database, held_until)
    assert await claimed(database, held_until) == ()
    async with database.write() as connection:
        await release(connection, [probe.id])
    assert len(await claimed(database, held_until)) == 1
    assert len(await claimed(database, held_until + LEASE)) == 1


async def test_probe_that_succeeds_opens_all_slots_and_one_that_fails_none(database: Database) -> None:
    endpoint = await registered(database)
    await fail(database, endpoint, OPENS_AFTER, NOON)
    await planned(database, endpoint, 4)
    then = NOON + OPENS_AFTER - 1 + FIRST_HOLD_SECONDS
    (probe,) = await claimed(database, then)
    await recorded(database, [attempt(probe, Outcome.TIMEOUT, at=then)], then + 1)
    assert await claimed(database, then + 2 * FIRST_HOLD_SECONDS) == ()
    (probe,) = await claimed(database, then + 1 + 2 * FIRST_HOLD_SECONDS)
    await recorded(database, [attempt(probe)], then + 100)
    assert len(await claimed(database, then + 100)) == 3
    async with database.read() as connection:
        found = await find(connection, endpoint.id)
    assert found == endpoint


async def test_dispatchers_that_claim_at_once_never_get_the_same_delivery(database: Database) -> None:
    """Four of them until nothing is left; on PostgreSQL they really run side by side."""
    endpoints = [await registered(database, host=f"{number}.example") for number in range(5)]
    keys = [key for endpoint in endpoints for key in await planned(database, endpoint, 40)]
    got: list[str] = []

    async def dispatcher() -> None:
        while len(got) < len(keys):
            got.extend(one.id for one in await claimed(database, number=10))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(dispatcher())
    assert sorted(keys) == sorted(got)


@pytest.mark.parametrize("state_settings", ["postgresql"], indirect=True)
async def test_claim_passes_over_what_another_is_taking_instead_of_waiting(database: Database) -> None:
    """SQLite has one writer: there it cannot come to that."""
    endpoint = await registered(database)
    keys = await planned(database, endpoint, 10)
    async with database.write() as first:
        one = await claim(first, room(), NOON, LEASE)
        other = await claimed(database)
    assert set(keys) == ids(one.deliveries) | ids(other)


@pytest.mark.parametrize("state_settings", ["postgresql"], indirect=True)
async def test_endpoint_is_not_probed_by_another_while_somebody_begins_to(database: Database) -> None:
    """SQLite has one writer: there it cannot come to that."""
    endpoint = await registered(database)
    await fail(database, endpoint, OPENS_AFTER, NOON)
    await planned(database, endpoint, 2)
    later = NOON + OPENS_AFTER + FIRST_HOLD_SECONDS
    async with database.write() as first:
        one = await claim(first, room(), later, LEASE)
        other = await claimed(database, later)
    assert (len(one.deliveries), other) == (1, ())
