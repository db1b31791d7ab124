"""Guarantees of pipeline.state.database, on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import text

from pipeline.state.database import Database

pytestmark = pytest.mark.integration


async def test_database_keeps_what_a_finished_block_wrote_and_nothing_of_a_failed_one(database: Database) -> None:
    insert = "INSERT INTO offsets (topic, partition, next) VALUES ('{}', 0, 5000000000)"
    async with database.write() as connection:
        await connection.execute(text(insert.format("kept")))
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(text(insert.format("undone")))
            _ = 1 / 0
    async with database.read() as connection:
        found = (await connection.execute(text("SELECT topic, next FROM offsets"))).all()
    assert [("kept", 5_000_000_000)] == [tuple(row) for row in found]
