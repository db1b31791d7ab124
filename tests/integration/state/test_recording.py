"""Guarantees of pipeline.state.recording, on SQLite and on PostgreSQL."""

import asyncio
import sys
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import event, func, select

from pipeline.state.database import Database
from pipeline.state.deliveries import plan, recover, resend
from pipeline.state.delivery_log import LoggedDelivery, log_of
from pipeline.state.endpoints import enable, find
from pipeline.state.forget import forget_deliveries
from pipeline.state.health import DISABLING_FAILURES, DISABLING_SECONDS
from pipeline.state.recording import record
from pipeline.state.records import (
    Abandoned,
    Attempted,
    DeliveryState,
    Endpoint,
    Health,
    Outcome,
    PendingDelivery,
    Reason,
    RetryAt,
)
from pipeline.state.tables import deliveries, endpoints
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
)

pytestmark = pytest.mark.integration
LATER = NOON + 2 * LEASE


async def log(database: Database) -> tuple[LoggedDelivery, ...]:
    async with database.read() as connection:
        return await log_of(connection)


async def endpoint_now(database: Database, endpoint: Endpoint) -> Endpoint:
    async with database.read() as connection:
        found = await find(connection, endpoint.id)
    assert found is not None
    return found


async def one_claimed(database: Database) -> PendingDelivery:
    await planned(database, await registered(database))
    (one,) = await claimed(database)
    return one


async def test_attempt_that_delivered_ends_its_delivery(database: Database) -> None:
    one = await one_claimed(database)
    assert await recorded(database, [attempt(one)]) == ()
    (entry,) = await log(database)
    (made,) = entry.attempts
    assert (entry.state, entry.reason, entry.due_at) == (DeliveryState.DELIVERED, None, None)
    assert (
        made.number, made.started_at, made.seconds, made.outcome, made.status,
    ) == (1, NOON, 0.5, Outcome.DELIVERED, 200)  # fmt: skip
    assert await claimed(database, LATER) == ()


async def test_attempt_that_failed_makes_its_delivery_due_again_and_frees_it(database: Database) -> None:
    """The next one is number two, to the same address with the same bytes."""
    one = await one_claimed(database)
    await recorded(database, [attempt(one, Outcome.UNAVAILABLE, RetryAt(NOON + 5))])
    assert await claimed(database, NOON + 4.9) == ()
    (again,) = await claimed(database, NOON + 5)
    assert (again.attempts, again.number) == (1, 2)
    assert (one.message_id, one.url, one.body) == (again.message_id, again.url, again.body)


async def test_attempt_that_was_the_last_abandons_its_delivery(database: Database) -> None:
    one = await one_claimed(database)
    await recorded(database, [attempt(one, Outcome.REFUSED, EXHAUSTED)])
    (entry,) = await log(database)
    assert (entry.state, entry.reason) == (DeliveryState.ABANDONED, Reason.EXHAUSTED)
    assert await claimed(database, LATER) == ()


async def test_attempts_written_twice_count_once(database: Database) -> None:
    """In one batch too, and when who does not know whether it was written writes it again."""
    one = await one_claimed(database)
    failed = attempt(one, Outcome.TIMEOUT, RetryAt(NOON + 5))
    await recorded(database, [failed, failed])
    await recorded(database, [failed])
    (entry,) = await log(database)
    assert [made.number for made in entry.attempts] == [1]
    assert (await endpoint_now(database, one.endpoint)).health.failures_in_row == 1


async def test_late_record_of_a_claim_that_ran_out_changes_nothing(database: Database) -> None:
    """Another has claimed the delivery since, failed at it and written that down; what the first knows is too late."""
    one = await one_claimed(database)
    (other,) = await claimed(database, NOON + LEASE)
    await recorded(database, [attempt(other, Outcome.TIMEOUT, RetryAt(LATER))])
    before = await log(database), await endpoint_now(database, one.endpoint)
    await recorded(database, [attempt(one, Outcome.REFUSED, EXHAUSTED)])
    assert before == (await log(database), await endpoint_now(database, one.endpoint))


async def test_records_of_one_attempt_at_once_count_once(database: Database) -> None:
    """Several claims of each delivery ran out, and all are written at the same moment, in any order."""
    endpoint = await registered(database)
    await planned(database, endpoint, 5)
    claims = [await claimed(database, NOON + number * LEASE) for number in range(4)]
    batches = [[attempt(one, Outcome.TIMEOUT, RetryAt(LATER * 2)) for one in claim] for claim in claims]
    batches[1].reverse()
    batches[3].reverse()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for made in batches:
            group.create_task(recorded(database, made))
    assert [len(entry.attempts) for entry in await log(database)] == [1] * 5
    assert (await endpoint_now(database, endpoint)).health.failures_in_row == 5


async def test_failures_that_are_recorded_at_once_are_all_counted(database: Database) -> None:
    endpoint = await registered(database)
    await planned(database, endpoint, 5)
    made = [[attempt(one, Outcome.TIMEOUT)] for one in await claimed(database)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for batch in made:
            group.create_task(recorded(database, batch))
    assert (await endpoint_now(database, endpoint)).health.failures_in_row == 5


async def test_attempt_at_a_delivery_that_was_forgotten_harms_no_other(database: Database) -> None:
    endpoint = await registered(database)
    await planned(database, endpoint, created_at=NOON - 100)
    await planned(database, endpoint)
    made = [attempt(one) for one in await claimed(database)]
    await recorded(database, [one for one in made if one.delivery.created_at < NOON])
    async with database.write() as connection:
        assert await forget_deliveries(connection, NOON + 2, 10) == 1
    await recorded(database, made)
    assert [entry.state for entry in await log(database)] == [DeliveryState.DELIVERED]


async def test_receiver_that_is_gone_is_disabled_at_once_and_named(database: Database) -> None:
    """And not named again for what was under way."""
    await planned(database, await registered(database), 2)
    one, other = await claimed(database)
    (disabled,) = await recorded(database, [attempt(one, Outcome.GONE, Abandoned(Reason.GONE))], NOON + 7)
    assert (one.endpoint.id, NOON + 7, "gone") == (disabled.id, disabled.disabled_at, disabled.disabled_reason)
    assert disabled == await endpoint_now(database, one.endpoint)
    assert await recorded(database, [attempt(other, Outcome.GONE)], NOON + 8) == ()


async def test_endpoint_that_only_failed_for_days_is_disabled_once_and_can_come_back(database: Database) -> None:
    one = await one_claimed(database)
    sick = Health(DISABLING_FAILURES - 1, NOON - DISABLING_SECONDS, NOON)
    async with database.write() as connection:
        await connection.execute(
            endpoints.update().values(failures_in_row=sick.failures_in_row, failing_since=sick.failing_since)
        )
    await planned(database, one.endpoint)
    (disabled,) = await recorded(database, [attempt(one, Outcome.TIMEOUT)])
    assert (disabled.disabled_reason, disabled.health.failures_in_row) == ("failing", DISABLING_FAILURES)
    assert await claimed(database, LATER) == ()
    async with database.write() as connection:
        enabled = await enable(connection, one.endpoint.id)
    assert one.endpoint == enabled
    assert len(await claimed(database, LATER)) == 2


async def test_delivery_asked_for_again_starts_the_schedule_anew_and_its_log_goes_on(database: Database) -> None:
    one = await one_claimed(database)
    await recorded(database, [attempt(one, Outcome.TIMEOUT, RetryAt(NOON + 5))])
    (one,) = await claimed(database, NOON + 5)
    await recorded(database, [attempt(one, Outcome.TIMEOUT, EXHAUSTED)])
    async with database.write() as connection:
        assert await resend(connection, one.id, NOON + 100)
    (again,) = await claimed(database, NOON + 100)
    assert (again.attempts, again.earlier, again.number) == (0, 2, 3)
    await recorded(database, [attempt(again)])
    (entry,) = await log(database)
    assert [made.number for made in entry.attempts] == [1, 2, 3]
    assert DeliveryState.DELIVERED is entry.state


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.DELIVERED])
async def test_attempt_under_way_when_its_delivery_is_asked_for_again_counts_and_ends_no_schedule(
    database: Database, outcome: Outcome
) -> None:
    """It was the last of the old one; the new one begins at once, unless it delivered."""
    one = await one_claimed(database)
    async with database.write() as connection:
        await recover(connection, one.endpoint.id, NOON, NOON + 10)
    assert await claimed(database, NOON + 10) == (), "it is under way"
    await recorded(database, [attempt(one, Outcome.TIMEOUT, RetryAt(NOON + 11))])
    (one,) = await claimed(database, NOON + 11)
    async with database.write() as connection:
        await resend(connection, one.id, NOON + 12)
    await recorded(database, [attempt(one, outcome, EXHAUSTED if outcome is Outcome.TIMEOUT else None)])
    again = await claimed(database, NOON + 12)
    assert [(1, 3)] * (outcome is Outcome.TIMEOUT) == [(each.attempts, each.number) for each in again]


async def test_five_hundred_attempts_are_written_in_a_handful_of_statements(database: Database) -> None:
    endpoint = await registered(database)
    await planned(database, endpoint, 500)
    got = await claimed(database, per_endpoint=500, per_host=500)
    made = [attempt(one, Outcome.TIMEOUT if number % 2 else Outcome.DELIVERED) for number, one in enumerate(got)]
    statements: list[str] = []
    async with database.write() as connection:
        event.listen(connection.sync_connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        await record(connection, made, NOON)
    assert len(made) == 500
    assert len(statements) <= 8, statements


@pytest.mark.benchmark
async def test_throughput_of_planning_and_recording(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure to read; no verdict on this machine's speed."""
    endpoint = await registered(database)
    new = [new_delivery(endpoint) for _ in range(2000)]
    began = time.perf_counter()
    async with database.write() as connection:
        await plan(connection, new)
    planned_at = time.perf_counter()
    got = await claimed(database, number=2000, per_endpoint=2000, per_host=2000)
    claimed_at = time.perf_counter()
    made = [attempt(one) for one in got]
    await in_batches(database, made, 500)
    ended = time.perf_counter()
    with capsys.disabled():
        took = {"plan": planned_at - began, "claim": claimed_at - planned_at, "record": ended - claimed_at}
        rates = ", ".join(f"{name} {2000 / seconds:,.0f}/s" for name, seconds in took.items())
        sys.stdout.write(f"\n{database.dialect}: {rates}\n")
    async with database.read() as connection:
        left = await connection.execute(select(func.count()).where(deliveries.c.state != DeliveryState.DELIVERED))
    assert left.scalar_one() == 0


async def in_batches(database: Database, made: Sequence[Attempted], size: int) -> None:
    for start in range(0, len(made), size):
        await recorded(database, made[start : start + size])
