"""Guarantees of pipeline.state.database, on SQLite and on PostgreSQL."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.embedded.process import free_port
from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable, StateUnavailable
from pipeline.settings import StateSettings
from pipeline.state.database import Database, open_database
from pipeline.state.offsets import advance, read_offsets
from tests.support.postgresql import PASSWORD, PostgreSQL

pytestmark = pytest.mark.integration

HASTY_SECONDS = 0.2
COUNT_ON = "UPDATE offsets SET next = next + 1 WHERE topic = 'counted'"

ON_SQLITE = pytest.mark.parametrize("state_settings", ["sqlite"], indirect=True)


async def put(database: Database, topic: str, position: int = 0) -> None:
    async with database.write() as connection:
        await advance(connection, {(topic, 0): position})


async def topics(database: Database) -> set[str]:
    async with database.read() as connection:
        return {topic for topic, _ in await read_offsets(connection)}


async def position_of(connection: AsyncConnection, topic: str) -> int:
    return (await read_offsets(connection))[topic, 0]


async def count_on(database: Database) -> None:
    """Looks before it writes, which SQLite would not let a reader do that turns writer."""
    async with database.write() as connection:
        await position_of(connection, "counted")
        await connection.execute(text(COUNT_ON))


def hasty(settings: StateSettings) -> StateSettings:
    return settings.model_copy(update={"timeout_seconds": HASTY_SECONDS})


async def test_finished_block_is_kept_and_a_failed_one_undone(database: Database) -> None:
    async def write(topic: str, divisor: int) -> None:
        async with database.write() as connection:
            await advance(connection, {(topic, 0): 1})
            _ = 1 / divisor

    await write("kept", 1)
    with pytest.raises(ZeroDivisionError):
        await write("undone", 0)
    assert await topics(database) == {"kept"}


async def test_canceled_block_is_undone_and_leaves_the_way_free(database: Database) -> None:
    """As at shutdown."""
    within = asyncio.Event()

    async def write() -> None:
        async with database.write() as connection:
            await advance(connection, {("undone", 0): 1})
            within.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await within.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await put(database, "kept")
    assert await topics(database) == {"kept"}


async def test_no_write_is_lost_among_many_in_several_processes(
    database: Database, state_settings: StateSettings
) -> None:
    """Two openings of one database stand for two processes."""
    await put(database, "counted")
    async with open_database(state_settings) as other:
        await asyncio.gather(*(count_on(each) for each in (database, other) for _ in range(15)))
    async with database.read() as connection:
        assert await position_of(connection, "counted") == 30


async def test_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(database: Database) -> None:
    await put(database, "before")
    async with database.write() as connection:
        await advance(connection, {("half", 0): 1})
        assert await topics(database) == {"before"}
    assert await topics(database) == {"before", "half"}


async def test_writer_that_waits_too_long_for_another_process_may_try_again(
    database: Database, state_settings: StateSettings
) -> None:
    await put(database, "counted")
    async with open_database(hasty(state_settings)) as other:
        async with database.write() as held:
            await held.execute(text(COUNT_ON))
            with pytest.raises(StateUnavailable):
                await count_on(other)
        await count_on(other)
    async with database.read() as connection:
        assert await position_of(connection, "counted") == 2


@ON_SQLITE
async def test_writer_that_waits_too_long_for_another_of_its_process_may_try_again(database: Database) -> None:
    """On SQLite they queue before they ask the database."""
    hurried = replace(database, timeout_seconds=HASTY_SECONDS)
    async with database.write():
        with pytest.raises(StateUnavailable, match=r"other writers took longer than 0\.2 s"):
            await put(hurried, "too late")
    await put(hurried, "kept")
    assert await topics(database) == {"kept"}


async def test_mistake_of_ours_is_not_taken_for_an_outage(database: Database) -> None:
    """It would be tried for ever. And it is told without the values, which may be a customer's secret."""
    statement = text("INSERT INTO offsets (topic, partition, next) VALUES (:topic, 0, NULL)")
    with pytest.raises(IntegrityError) as caught:
        await _execute(database, statement, {"topic": "a secret"})
    assert "a secret" not in str(caught.value).split("DETAIL")[0]


async def _execute(database: Database, statement: object, parameters: dict[str, str]) -> None:
    async with database.write() as connection:
        await connection.execute(statement, parameters)  # type: ignore[call-overload]


@ON_SQLITE
async def test_sqlite_is_set_up_on_every_connection(database: Database) -> None:
    async with database.read() as first, database.read() as second, database.write() as third:
        for connection in (first, second, third):
            found = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert found == ["wal", 1, 1, 10_000]


async def test_lost_connection_passes_and_the_next_block_has_another(postgresql: PostgreSQL) -> None:
    """As when the server is restarted: all connections of the pool are gone at once."""
    async with postgresql.fresh() as settings, open_database(settings) as database:
        await put(database, "before")
        name = settings.url.get_secret_value().rpartition("/")[2]
        async with database.read():
            ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            with pytest.raises(StateUnavailable):
                await _while(database, postgresql.run(ends))
        await put(database, "after")
        assert await topics(database) == {"before", "after"}


async def _while(database: Database, other: object) -> None:
    async with database.write() as connection:
        await advance(connection, {("lost", 0): 1})
        await other  # type: ignore[misc]
        await advance(connection, {("lost", 0): 2})


async def test_deadlock_passes(postgresql: PostgreSQL) -> None:
    """PostgreSQL ends one of the two; the other is not disturbed."""
    both = asyncio.Barrier(2)

    async def cross(database: Database, *order: str) -> None:
        async with database.write() as connection:
            await advance(connection, {(order[0], 0): 1})
            await both.wait()
            await advance(connection, {(order[1], 0): 1})

    async with postgresql.fresh() as settings, open_database(settings) as database:
        await asyncio.gather(put(database, "a"), put(database, "b"))
        ended = await asyncio.gather(cross(database, "a", "b"), cross(database, "b", "a"), return_exceptions=True)
        assert {type(each) for each in ended} == {type(None), StateUnavailable}


async def test_statement_that_takes_too_long_is_ended_at_the_server(postgresql: PostgreSQL) -> None:
    async with postgresql.fresh() as settings, open_database(hasty(settings)) as database:
        with pytest.raises(StateUnavailable, match="it ended the statement"):
            await _execute(database, text("SELECT pg_sleep(60)"), {})


async def _refused(settings: StateSettings, *, migrating: bool = False) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        async with open_database(settings, migrating=migrating):
            pass
    assert PASSWORD not in str(caught.value)
    return caught.value


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_server_that_is_not_there_is_named_without_the_password(postgresql: PostgreSQL) -> None:
    port = free_port()
    error = await _refused(postgresql.settings("migrated", port=port))
    assert isinstance(error, ServiceUnreachable)
    assert str(error) == (
        f"cannot reach the database at 127.0.0.1:{port}/migrated: the connection is refused or breaks off; "
        "set UPSCALE_STATE__URL to change the address"
    )


async def test_silent_server_is_given_up(postgresql: PostgreSQL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await _refused(hasty(postgresql.settings("migrated", port=silent.getsockname()[1])))
    assert isinstance(error, ServiceUnreachable)
    assert "no answer in time" in str(error)


@pytest.mark.parametrize(
    ("file", "migrating", "said"),
    [
        ("missing/state.db", True, "unable to open"),
        ("garbage.db", False, "not a database"),
        ("state.db", False, "there is no such file; run `upscale state migrate`"),
    ],
)
async def test_file_that_cannot_be_used_is_refused(tmp_path: Path, file: str, migrating: bool, said: str) -> None:
    """And one that is missing is not made by who only reads."""
    (tmp_path / "garbage.db").write_bytes(b"no database at all " * 100)
    error = await _refused(StateSettings(url=SecretStr(f"sqlite:///{tmp_path / file}")), migrating=migrating)
    assert _names(tmp_path) == ["garbage.db"]
    assert isinstance(error, ServiceRefused)
    assert said in str(error)
    assert str(tmp_path / file) in str(error)
    assert not isinstance(error.__cause__, DBAPIError) or error.__cause__.hide_parameters
