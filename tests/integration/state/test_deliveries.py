"""Guarantees of pipeline.state.deliveries, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from pipeline.state.claims import claim
from pipeline.state.database import Database
from pipeline.state.deliveries import plan, recover, release, resend
from pipeline.state.delivery_log import log_of
from pipeline.state.endpoints import disable, enable
from pipeline.state.records import DeliveryState, Outcome, Reason
from tests.support.deliveries import (
    EXHAUSTED,
    LEASE,
    NOON,
    attempt,
    claimed,
    new_delivery,
    planned,
    recorded,
    registered,
    room,
)

pytestmark = pytest.mark.integration


async def states(database: Database) -> dict[str, tuple[DeliveryState, Reason | None]]:
    async with database.read() as connection:
        return {entry.id: (entry.state, entry.reason) for entry in await log_of(connection)}


async def test_planning_again_names_only_what_is_new_and_leaves_the_rest_as_it_is(database: Database) -> None:
    """An event that is read twice, after a crash, is delivered once."""
    endpoint = await registered(database)
    (old,) = await planned(database, endpoint)
    await recorded(database, [attempt(one) for one in await claimed(database)])
    new = [new_delivery(endpoint, f"new-{number}") for number in range(1200)]
    async with database.write() as connection:
        assert await plan(connection, [*new, new_delivery(endpoint, old)]) == {one.id for one in new}
        assert await plan(connection, new) == frozenset()
        assert await plan(connection, []) == frozenset()
    assert (await states(database))[old][0] is DeliveryState.DELIVERED


async def test_planning_the_same_at_once_gives_each_to_one(database: Database) -> None:
    """After a rebalance two dispatchers may read the same events, here in opposite orders."""
    endpoint = await registered(database)
    new = [new_delivery(endpoint) for _ in range(600)]

    async def once(number: int) -> frozenset[str]:
        async with database.write() as connection:
            return await plan(connection, new[:: -1 if number % 2 else 1], NOON + LEASE)

    async with asyncio.timeout(30):
        got = await asyncio.gather(*map(once, range(4)))
    assert sorted(key for keys in got for key in keys) == sorted(one.id for one in new)


async def test_planned_deliveries_are_the_planners_until_the_time_it_named(database: Database) -> None:
    endpoint = await registered(database)
    async with database.write() as connection:
        await plan(connection, [new_delivery(endpoint)], claimed_until=NOON + LEASE)
    assert await claimed(database, NOON + LEASE - 1) == ()
    assert len(await claimed(database, NOON + LEASE)) == 1


async def test_claims_given_back_are_free_at_once_and_only_they(database: Database) -> None:
    await planned(database, await registered(database), 2)
    one, _ = await claimed(database)
    async with database.write() as connection:
        await release(connection, [one.id])
    assert [again.id for again in await claimed(database)] == [one.id]


async def test_giving_back_what_was_delivered_does_not_deliver_it_again(database: Database) -> None:
    await planned(database, await registered(database))
    (one,) = await claimed(database)
    await recorded(database, [attempt(one)])
    async with database.write() as connection:
        await release(connection, [one.id])
    assert await states(database) == {one.id: (DeliveryState.DELIVERED, None)}
    assert await claimed(database) == ()


async def test_deliveries_kept_for_a_disabled_endpoint_come_back_by_recovery(database: Database) -> None:
    """Nothing that was delivered comes again, nor progress, nor what is older than was asked for."""
    endpoint, other = await registered(database), await registered(database)
    kept = replace(new_delivery(endpoint, "kept"), state=DeliveryState.ABANDONED, reason=Reason.DISABLED)
    async with database.write() as connection:
        await plan(connection, [kept, replace(kept, id="others", endpoint_id=other.id)])
        await plan(
            connection, [replace(kept, id="older", created_at=NOON - 1), replace(kept, id="progress", once=True)]
        )
        await plan(connection, [new_delivery(endpoint, "delivered"), new_delivery(endpoint, "failed")])
        await disable(connection, endpoint.id, "owner", NOON)
        await enable(connection, endpoint.id)
    made = {one.id: one for one in await claimed(database)}
    assert made.keys() == {"delivered", "failed"}
    await recorded(database, [attempt(made["delivered"]), attempt(made["failed"], Outcome.REFUSED, EXHAUSTED)])
    async with database.write() as connection:
        assert await recover(connection, endpoint.id, NOON, NOON + 9) == 2
    assert {(one.id, one.attempts, one.number) for one in await claimed(database, NOON + 9)} == {
        ("kept", 0, 1),
        ("failed", 0, 2),
    }


async def test_delivered_message_can_be_sent_again_and_an_unknown_one_cannot(database: Database) -> None:
    await planned(database, await registered(database))
    (one,) = await claimed(database)
    await recorded(database, [attempt(one)])
    async with database.write() as connection:
        assert await resend(connection, one.id, NOON + 5)
        assert not await resend(connection, "unknown", NOON + 5)
    (again,) = await claimed(database, NOON + 5)
    assert (again.message_id, again.body, again.number) == (one.message_id, one.body, 2)


async def test_recording_and_recovering_at_once_never_wait_crosswise(database: Database) -> None:
    """The table has the deliveries in the opposite order of their ids; both end, and no attempt is lost."""
    endpoint = await registered(database)
    for number in range(100, 0, -1):
        async with database.write() as connection:
            await plan(connection, [new_delivery(endpoint, f"{number:03}", created_at=NOON - number)])
    async with database.write() as connection:
        taken = await claim(connection, room(per_endpoint=100, per_host=100), NOON, LEASE)

    async def recovering() -> None:
        async with database.write() as connection:
            await recover(connection, endpoint.id, NOON - 100, NOON)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for start in range(5):
            made = [attempt(one, Outcome.TIMEOUT) for one in taken.deliveries[start::5]]
            group.create_task(recovering())
            group.create_task(recorded(database, made))
    async with database.read() as connection:
        assert [len(entry.attempts) for entry in await log_of(connection)] == [1] * 100
