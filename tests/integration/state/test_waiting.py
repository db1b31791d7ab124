"""Guarantees of pipeline.state.waiting, on SQLite and on PostgreSQL."""

import re
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from pipeline.state.claims import claim
from pipeline.state.database import Database, Dialect
from pipeline.state.endpoints import disable
from pipeline.state.records import DeliveryState
from pipeline.state.tables import deliveries, endpoints
from pipeline.state.waiting import disabled_count, oldest_due
from tests.support.deliveries import LEASE, NOON, attempt, claimed, planned, recorded, registered, room

pytestmark = pytest.mark.integration
Statement = tuple[str, Any]


async def late_since(database: Database, now: float = NOON) -> float | None:
    async with database.read() as connection:
        return await oldest_due(connection, now)


async def test_oldest_due_delivery_is_the_oldest_that_waits_for_us(database: Database) -> None:
    """Not one that somebody attempts, that is due later or over, or whose endpoint is disabled or held."""
    assert await late_since(database) is None
    disabled, held, well = [await registered(database, host=f"{number}.example") for number in range(3)]
    await planned(database, well, created_at=NOON - 4)
    await recorded(database, [attempt(one) for one in await claimed(database)])
    await planned(database, well, created_at=NOON - 3)
    await claimed(database)
    await planned(database, disabled, created_at=NOON - 2)
    await planned(database, held, created_at=NOON - 2)
    async with database.write() as connection:
        await disable(connection, disabled.id, "owner", NOON)
        await connection.execute(update(endpoints).where(endpoints.c.id == held.id).values(held_until=NOON + 1))
    assert await late_since(database) is None
    await planned(database, well, created_at=NOON - 1)
    await planned(database, well, created_at=NOON + 1)
    assert await late_since(database) == NOON - 1
    assert await late_since(database, NOON + 1) == NOON - 2
    async with database.read() as connection:
        assert await disabled_count(connection) == 1


async def statements_of_a_dispatcher(database: Database) -> list[Statement]:
    """What it sends to the database when it claims, and for the age of the oldest."""
    seen: list[Statement] = []
    async with database.write() as connection:
        event.listen(connection.sync_connection, "before_cursor_execute", lambda *args: seen.append((args[2], args[3])))
        await claim(connection, room(40, start="m"), NOON, LEASE)
        await oldest_due(connection, NOON)
    return seen


async def plans(database: Database, statements: list[Statement]) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if database.dialect is Dialect.SQLITE else "EXPLAIN "
    lines: list[str] = []
    async with database.write() as connection:
        for sql, values in statements:
            lines += [str(row[-1]) for row in await connection.exec_driver_sql(explain + sql, values)]
    return lines


async def test_dispatcher_asks_by_the_index_of_what_is_pending(database: Database) -> None:
    """One endpoint has 20,000 due, most of all there is; no statement goes through the table, or what is over."""
    many = await registered(database)
    for number in range(30):
        await planned(database, await registered(database, host=f"{number}.example"))
    await copies(database, many.id, 20_000)
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
    explained = await plans(database, await statements_of_a_dispatcher(database))
    reading = [line for line in explained if re.search(r"(SCAN|SEARCH|Scan.* on) deliveries", line)]
    assert reading
    assert all(re.search("ix_deliveries_due|pk_deliveries|autoindex_deliveries", line) for line in reading), reading


async def copies(database: Database, endpoint_id: str, number: int) -> None:
    row = {
        "message_id": "msg",
        "endpoint_id": endpoint_id,
        "tenant": "acme",
        "event": "upscale.completed",
        "url": "https://example.com",
        "body": b"{}",
        "created_at": NOON,
        "due_at": NOON,
        "once": 0,
        "state": DeliveryState.PENDING,
    }
    async with database.write() as connection:
        await connection.execute(insert(deliveries), [{**row, "id": f"copy-{one}"} for one in range(number)])
