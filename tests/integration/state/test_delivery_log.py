"""Guarantees of pipeline.state.delivery_log, on SQLite and on PostgreSQL."""

from dataclasses import fields

import pytest

from pipeline.state.database import Database
from pipeline.state.delivery_log import LoggedDelivery, log_of
from pipeline.state.records import Outcome, RetryAt
from tests.support.deliveries import NOON, attempt, claimed, planned, recorded, registered

pytestmark = pytest.mark.integration


async def test_log_shows_attempts_and_the_next_try_but_neither_body_nor_query(database: Database) -> None:
    (key,) = await planned(database, await registered(database))
    for now in (NOON, NOON + 60):
        made = [attempt(one, Outcome.UNAVAILABLE, RetryAt(now + 60), at=now) for one in await claimed(database, now)]
        await recorded(database, made, now + 1)
    async with database.read() as connection:
        (entry,) = await log_of(connection)
    assert (entry.id, entry.url, entry.due_at) == (key, "https://example.com/hook", NOON + 120)
    assert [(made.number, made.outcome) for made in entry.attempts] == [
        (1, Outcome.UNAVAILABLE),
        (2, Outcome.UNAVAILABLE),
    ]
    assert "body" not in {field.name for field in fields(LoggedDelivery)}


async def test_log_is_the_newest_of_the_tenant_and_endpoint_that_are_named(database: Database) -> None:
    """A tenant that names another's endpoint sees nothing."""
    mine, also_mine, theirs = [await registered(database, tenant) for tenant in ("acme", "acme", "rival")]
    old, new = [(await planned(database, mine, created_at=NOON + number))[0] for number in range(2)]
    (second,) = await planned(database, also_mine, created_at=NOON - 1)
    (their,) = await planned(database, theirs, created_at=NOON + 9)

    async def ids(**which: object) -> list[str]:
        async with database.read() as connection:
            return [entry.id for entry in await log_of(connection, **which)]  # type: ignore[arg-type]

    assert await ids() == [their, new, old, second]
    assert await ids(tenant="acme") == [new, old, second]
    assert await ids(tenant="acme", limit=1) == [new]
    assert await ids(tenant="acme", since=NOON) == [new, old]
    assert await ids(endpoint_id=also_mine.id) == [second]
    assert await ids(tenant="acme", endpoint_id=theirs.id) == []
