"""Guarantees of pipeline.state.offsets, on SQLite and on PostgreSQL."""

import pytest

from pipeline.state.database import Database
from pipeline.state.offsets import Positions, advance, read_offsets

pytestmark = pytest.mark.integration


async def move(database: Database, positions: Positions) -> dict[tuple[str, int], int]:
    async with database.write() as connection:
        await advance(connection, positions)
    async with database.read() as connection:
        return await read_offsets(connection)


async def test_offsets_move_on_and_never_back(database: Database) -> None:
    """A reader that has lost its partition may still write down how far it came."""
    assert await move(database, {("events", 0): 5, ("events", 1): 2**40}) == {("events", 0): 5, ("events", 1): 2**40}
    assert await move(database, {("events", 0): 6, ("events", 1): 1}) == {("events", 0): 6, ("events", 1): 2**40}
    assert await move(database, {}) == {("events", 0): 6, ("events", 1): 2**40}


async def test_offsets_of_one_topic_are_read_apart(database: Database) -> None:
    await move(database, {("events", 0): 5, ("requests", 0): 7})
    async with database.read() as connection:
        assert await read_offsets(connection, "requests") == {("requests", 0): 7}
        assert await read_offsets(connection, "nothing") == {}
