"""Guarantees of the rows of jobs, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from sqlalchemy import event

from pipeline.state.database import Database
from pipeline.state.job_rows import find, read_jobs, write_jobs
from pipeline.state.jobs import JobName, JobRow, Told, merged
from pipeline.state.telling import FORGET_SECONDS, LEAST_SECONDS, TELL_SECONDS, next_telling
from pipeline.state.telling_rows import due_to_tell, told
from schemas.callbacks import Webhook, WebhookMode
from schemas.events import Event
from schemas.webhooks import JobState
from tests.support.job_events import completed
from tests.support.job_histories import HISTORIES, NOW, event_of, row_in

pytestmark = pytest.mark.integration

A_FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SYNC = Webhook(url="https://one.example/", mode=WebhookMode.SYNC)
RUNNING = JobRow(JobName("acme", "running"), JobState.RUNNING, NOW, "event-1", {}, {}, NOW, SYNC)


def as_heard(history: Iterable[Event]) -> list[JobRow]:
    """The row of each event, of a job that no other test has."""
    name = JobName("acme", uuid4().hex)
    return [replace(row_in(each), name=name) for each in history]


async def hear(database: Database, *rows: JobRow, now: float = NOW) -> None:
    """What the reader of events does with a batch."""
    async with database.write() as connection:
        known = await read_jobs(connection, [row.name for row in rows])
        for row in rows:
            known[row.name] = merged(known[row.name], row) if row.name in known else row
        await write_jobs(connection, list(known.values()), now)


async def found(database: Database, name: JobName) -> JobRow | None:
    async with database.read() as connection:
        return await find(connection, name)


async def tell(database: Database, now: float, limit: int = 100) -> list[JobRow]:
    """What a dispatcher does when it looks for calls that are due."""
    async with database.write() as connection:
        return await told(connection, await due_to_tell(connection, now, limit), now)


@A_FEW
@given(history=HISTORIES)
async def test_row_is_read_back_as_the_events_make_it(database: Database, history: list[Event]) -> None:
    """Whatever text is in them, in whatever batches they come."""
    rows = as_heard(history)
    for row in rows:
        await hear(database, row)
    assert await found(database, rows[0].name) == reduce(merged, rows)


@A_FEW
@given(history=HISTORIES)
async def test_who_writes_without_having_read_takes_nothing_away(database: Database, history: list[Event]) -> None:
    """Two readers of one partition, each unaware of the other: the database merges as we do."""
    rows = as_heard(history)
    requested = [row.created_at for row in rows if row.created_at is not None]
    assume(len(set(requested)) == len(requested))
    for row in rows:
        async with database.write() as connection:
            await write_jobs(connection, [row], NOW)
    assert await found(database, rows[0].name) == reduce(merged, rows)


async def test_write_that_overlooked_the_end_calls_nobody(database: Database) -> None:
    """The same, seen from the calls: the end that another has written takes the next one away for good."""
    ended = replace(row_in(event_of(completed(), None)), name=RUNNING.name)
    await hear(database, ended)
    async with database.write() as connection:
        await write_jobs(connection, [RUNNING], NOW)
        assert await due_to_tell(connection, NOW + FORGET_SECONDS, 100) == []


async def test_unknown_job_is_not_found(database: Database) -> None:
    await hear(database, RUNNING)
    assert await found(database, JobName("other", RUNNING.name.job_id)) is None
    async with database.write() as connection:
        assert await read_jobs(connection, [JobName("other", "job"), RUNNING.name]) == {RUNNING.name: RUNNING}
        assert await read_jobs(connection, []) == {}
        await write_jobs(connection, [], NOW)


async def test_five_hundred_jobs_take_a_handful_of_statements(database: Database) -> None:
    """The cost of a batch is that of its rows, not of as many round trips."""
    statements: list[str] = []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *arguments: statements.append(arguments[2]),
    )
    rows = [replace(RUNNING, name=JobName("acme", f"job-{number}")) for number in range(500)]
    await hear(database, *rows)
    async with database.write() as connection:
        assert await read_jobs(connection, [row.name for row in rows]) == {row.name: row for row in rows}
    assert len(statements) <= 6


async def test_running_job_is_told_of_at_once_and_then_after_the_longest_silence(database: Database) -> None:
    await hear(database, RUNNING)
    assert [row.name for row in await tell(database, NOW)] == [RUNNING.name]
    assert await tell(database, NOW + TELL_SECONDS - 0.001) == []
    [again] = await tell(database, NOW + TELL_SECONDS)
    assert again.told == Told(2, NOW + TELL_SECONDS, "event-1")


async def test_news_bring_the_call_forward_and_repeats_do_not(database: Database) -> None:
    await hear(database, RUNNING)
    await tell(database, NOW)
    await hear(database, replace(RUNNING, event_at=NOW + 1))
    assert await tell(database, NOW + LEAST_SECONDS) == []
    await hear(database, replace(RUNNING, event_at=NOW + 1, event_id="event-2"))
    assert await tell(database, NOW + LEAST_SECONDS - 0.001) == []
    [news] = await tell(database, NOW + LEAST_SECONDS)
    assert news.event_id == news.told.event_id == "event-2"


async def test_call_notes_when_the_next_is_due_as_the_rule_has_it(database: Database) -> None:
    """The database computes it by itself; it must not differ."""
    for heard in (NOW, NOW - FORGET_SECONDS + TELL_SECONDS, NOW - FORGET_SECONDS + TELL_SECONDS - 1):
        row = replace(RUNNING, name=JobName("acme", f"heard-{heard}"), event_at=heard)
        await hear(database, row)
        [now_told] = await tell(database, NOW)
        due = next_telling(now_told, NOW)
        assert (due is not None) == (heard != NOW - FORGET_SECONDS + TELL_SECONDS - 1)
        assert [each.name for each in await tell(database, NOW + TELL_SECONDS)] == ([row.name] if due else [])
        await hear(database, replace(row, state=JobState.CANCELED))


async def test_job_that_was_silent_for_a_day_is_struck_off(database: Database) -> None:
    """After a day without dispatchers nobody hears of what is long lost; of what is heard of again they do."""
    await hear(database, RUNNING)
    assert await tell(database, NOW + FORGET_SECONDS + 1) == []
    assert await tell(database, NOW) == []
    await hear(database, replace(RUNNING, event_at=NOW + FORGET_SECONDS, event_id="event-2"))
    assert len(await tell(database, NOW + FORGET_SECONDS + 1)) == 1


async def test_longest_due_are_told_first(database: Database) -> None:
    rows = [replace(RUNNING, name=JobName("acme", f"job-{age}"), event_at=NOW - age) for age in range(5)]
    await hear(database, *rows)
    assert {row.name.job_id for row in await tell(database, NOW, limit=2)} == {"job-4", "job-3"}


async def test_two_dispatchers_never_both_tell(database: Database) -> None:
    """However their looking and their noting interleave."""
    rows = [replace(RUNNING, name=JobName("acme", f"job-{number}")) for number in range(20)]
    await hear(database, *rows)
    async with database.write() as connection:
        seen = await due_to_tell(connection, NOW, 100)

    async def note() -> list[JobRow]:
        async with database.write() as connection:
            return await told(connection, seen, NOW)

    every = await asyncio.gather(*(note() for _ in range(4)), *(tell(database, NOW, 5) for _ in range(4)))
    assert sorted(row.name for some in every for row in some) == sorted(row.name for row in rows)


async def test_job_that_ended_meanwhile_is_not_told_of(database: Database) -> None:
    """Its end is told instead; and what is told is what is known at that moment."""
    other = replace(RUNNING, name=JobName("acme", "other"))
    await hear(database, RUNNING, other)
    async with database.write() as connection:
        seen = await due_to_tell(connection, NOW, 100)
    await hear(database, replace(RUNNING, state=JobState.CANCELED), replace(other, event_id="event-2"))
    async with database.write() as connection:
        [still] = await told(connection, seen, NOW)
        assert await told(connection, [], NOW) == []
    assert (still.name, still.event_id) == (other.name, "event-2")
