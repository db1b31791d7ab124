"""What is over and old leaves the tables, on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import func, select, text

from pipeline.state.database import Database, Dialect
from pipeline.state.delivery_log import LoggedDelivery, log_of
from pipeline.state.endpoints import disable, enable
from pipeline.state.forget import forget_deliveries, forget_jobs
from pipeline.state.job_rows import read_jobs, write_jobs
from pipeline.state.jobs import JobName, JobRow
from pipeline.state.records import Abandoned, Outcome, Reason
from pipeline.state.tables import jobs
from schemas.webhooks import JobState
from tests.support.deliveries import NOON, attempt, claimed, planned, recorded, registered

pytestmark = pytest.mark.integration


async def heard(database: Database, job: str, state: JobState, at: float) -> JobName:
    """A job whose last event happened then."""
    name = JobName("acme", job)
    async with database.write() as connection:
        await write_jobs(connection, [JobRow(name, state, at, f"event-{job}", {}, {}, NOON - 1000)], at)
    return name


async def forgotten(database: Database, before: float, limit: int = 1000) -> int:
    async with database.write() as connection:
        return await forget_jobs(connection, before, limit)


async def logged(database: Database) -> tuple[LoggedDelivery, ...]:
    async with database.read() as connection:
        return tuple(await log_of(connection))


async def remembered(database: Database) -> set[str]:
    async with database.read() as connection:
        return set((await connection.execute(select(jobs.c.job_id))).scalars())


@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
async def test_job_is_forgotten_when_it_ended_long_ago(database: Database, state: JobState) -> None:
    await heard(database, "old", state, NOON - 1)
    await heard(database, "recent", state, NOON)

    assert await forgotten(database, NOON) == 1
    assert await remembered(database) == {"recent"}


async def test_job_that_has_not_ended_is_remembered_however_old(database: Database) -> None:
    await heard(database, "queued", JobState.QUEUED, NOON - 1000)
    await heard(database, "running", JobState.RUNNING, NOON - 1000)

    assert await forgotten(database, NOON) == 0
    assert await remembered(database) == {"queued", "running"}


async def test_oldest_jobs_are_forgotten_first_so_many_at_a_time(database: Database) -> None:
    for age in (2, 4, 1, 3):
        await heard(database, f"{age}", JobState.COMPLETED, NOON - age)

    assert await forgotten(database, NOON, limit=3) == 3
    assert await remembered(database) == {"1"}
    assert await forgotten(database, NOON, limit=3) == 1


async def test_job_that_somebody_holds_is_not_waited_for(database: Database) -> None:
    """Two who wait for each other would both be undone. SQLite has one writer at a time, and nobody to wait for."""
    if database.dialect is Dialect.SQLITE:
        return
    held = await heard(database, "held", JobState.COMPLETED, NOON - 2)
    await heard(database, "free", JobState.COMPLETED, NOON - 1)

    async with database.write() as connection:
        await read_jobs(connection, [held])
        assert await forgotten(database, NOON) == 1
    assert await remembered(database) == {"held"}


async def test_old_jobs_are_found_by_their_index(database: Database) -> None:
    """Not by reading all that there are, every few minutes."""
    async with database.write() as connection:
        rows = [JobRow(JobName("a", str(n)), JobState.COMPLETED, NOON + n, "e", {}, {}, NOON) for n in range(2000)]
        await write_jobs(connection, rows, NOON)
        await connection.execute(text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN" if database.dialect is Dialect.SQLITE else "EXPLAIN"
        condition = f"rank = 2 AND event_at < {NOON + 5}"
        query = text(f"{explain} SELECT tenant, job_id FROM jobs WHERE {condition} ORDER BY event_at LIMIT 10")
        lines = " ".join(str(row[-1]) for row in await connection.execute(query))
        assert (await connection.execute(select(func.count()).select_from(jobs))).scalar_one() == 2000
    assert "ix_jobs_ended" in lines


async def test_deliveries_that_ended_long_ago_are_forgotten_with_their_attempts(database: Database) -> None:
    """And what waits for an endpoint that was disabled long ago; what is still to be attempted stays, however old."""
    endpoint, disabled = await registered(database), await registered(database)
    await planned(database, endpoint, 3, created_at=NOON - 10)
    over = await claimed(database)
    await recorded(database, [attempt(one, Outcome.GONE, Abandoned(Reason.GONE)) for one in over])
    async with database.write() as connection:
        await enable(connection, endpoint.id)
        await disable(connection, disabled.id, "owner", NOON)
        assert await forget_deliveries(connection, NOON, limit=3) == 0, "over, or given up, not long enough"
    waiting = await planned(database, endpoint, created_at=NOON - 10)
    await planned(database, disabled, created_at=NOON - 10)
    recent = await planned(database, disabled, created_at=NOON + 2)
    async with database.write() as connection:
        counts = [await forget_deliveries(connection, NOON + 2, limit=3) for _ in range(3)]
    assert counts == [3, 1, 0]
    assert {entry.id for entry in await logged(database)} == {*waiting, *recent}
