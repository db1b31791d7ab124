"""Guarantees of pipeline.state.database, on SQLite and on PostgreSQL."""

import pytest

from pipeline.state.database import Database
from pipeline.state.offsets import advance, read_offsets

pytestmark = pytest.mark.integration


async def test_database_keeps_what_a_finished_block_wrote_and_nothing_of_a_failed_one(database: Database) -> None:
    async def write(topic: str, divisor: int) -> None:
        async with database.write() as connection:
            await advance(connection, {(topic, 0): 5_000_000_000})
            _ = 1 / divisor

    await write("kept", 1)
    with pytest.raises(ZeroDivisionError):
        await write("undone", 0)
    async with database.read() as connection:
        assert await read_offsets(connection) == {("kept", 0): 5_000_000_000}
