"""Guarantees of pipeline.state.migrate, on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, inspect, text

from pipeline.errors import ServiceRefused
from pipeline.settings import StateSettings
from pipeline.state import migrate as migrations
from pipeline.state.database import Database, Dialect, open_database
from pipeline.state.migrate import check, migrate
from pipeline.state.offsets import advance
from pipeline.state.tables import metadata
from tests.support.broker import outliving_loops
from tests.support.postgresql import PostgreSQL

pytestmark = pytest.mark.integration

DEFINITIONS = {
    Dialect.SQLITE: "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'",
    Dialect.POSTGRESQL: """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%alembic%'
        UNION ALL
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname NOT LIKE '%alembic%'
            AND connamespace = 'public'::regnamespace
        UNION ALL
        SELECT table_name || '.' || column_name,
            concat_ws(' ', ordinal_position, data_type, character_maximum_length, is_nullable, column_default,
                collation_name)
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%alembic%'
    """,
}
"""All that a database knows of its tables."""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateSettings]:
    """A database without any tables."""
    if request.param == "sqlite":
        yield StateSettings(url=SecretStr(f"sqlite:///{tmp_path / 'empty.db'}"))
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    with outliving_loops(server.fresh("template0")) as settings:
        yield settings


async def definitions(database: Database) -> list[tuple[str, ...]]:
    async with database.read() as connection:
        return sorted(tuple(map(str, row)) for row in await connection.execute(text(DEFINITIONS[database.dialect])))


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def pretend(database: Database, step: str) -> None:
    async with database.write() as connection:
        await connection.execute(text(f"UPDATE alembic_version SET version_num = '{step}'"))


async def test_migrations_make_what_the_tables_say(empty: StateSettings) -> None:
    """To the last index: as Alembic compares, and as the database itself tells it."""
    async with open_database(empty, migrating=True) as database:
        assert await migrate(database)
        async with database.read() as connection:
            assert await connection.run_sync(differences) == []
        migrated = await definitions(database)
        async with database.write() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        assert migrated == await definitions(database)


async def test_migrating_again_changes_nothing(empty: StateSettings) -> None:
    async with open_database(empty, migrating=True) as database:
        assert await migrate(database)
        before = await definitions(database)
        assert not await migrate(database)
        assert before == await definitions(database)
        await check(database)


async def test_of_many_who_migrate_at_once_one_does_and_all_end_well(empty: StateSettings) -> None:
    """As when a new release starts everywhere."""

    async def one() -> bool:
        async with open_database(empty, migrating=True) as database:
            changed = await migrate(database)
            await check(database)
            return changed

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [False, False, False, True]


async def test_failed_migration_leaves_nothing_behind(empty: StateSettings) -> None:
    """The tables made before the step that fails go with it."""
    async with open_database(empty, migrating=True) as database:
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE attempts (number INTEGER)"))
        with pytest.raises(Exception, match="already exists"):
            await migrate(database)
        async with database.read() as connection:
            assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["attempts"]


NEXT_STEP = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

def upgrade() -> None:
    op.add_column("offsets", sa.Column("note", sa.Text(), server_default="none"))
"""


async def test_tables_of_an_older_program_are_refused_and_then_brought_up_to_date(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is in them. The newer program is ours with one more step."""
    async with database.write() as connection:
        await advance(connection, {("events", 0): 7})
    steps = Path(shutil.copytree(migrations.STEPS, tmp_path / "steps"))
    (steps / "versions" / "s0003_next.py").write_text(NEXT_STEP)
    monkeypatch.setattr(migrations, "STEPS", steps)
    with pytest.raises(ServiceRefused, match="of an older program, step 0002; run `upscale state migrate`"):
        await check(database)
    assert await migrate(database)
    await check(database)
    async with database.read() as connection:
        found = (await connection.execute(text("SELECT next, note FROM offsets"))).one()
    assert tuple(found) == (7, "none")


async def test_database_without_tables_is_refused_with_what_to_do(empty: StateSettings) -> None:
    async with open_database(empty, migrating=True) as database:
        with pytest.raises(ServiceRefused, match="it has no tables yet; run `upscale state migrate`"):
            await check(database)


async def test_tables_of_a_newer_program_are_refused_and_left_alone(database: Database) -> None:
    """What this program would write there, the newer one might not understand."""
    await pretend(database, "9999")
    before = await definitions(database)
    for action in (check, migrate):
        with pytest.raises(ServiceRefused, match="a newer program, step 9999; use a program at least as new"):
            await action(database)
    assert before == await definitions(database)


async def test_migration_waits_for_as_long_as_another_takes(postgresql: PostgreSQL) -> None:
    """A step on a large table takes longer than any statement may otherwise, and would be undone and begun anew."""
    with_haste = {"timeout_seconds": 0.2}
    async with (
        postgresql.fresh("template0") as settings,
        open_database(settings) as other,
        open_database(settings.model_copy(update=with_haste), migrating=True) as database,
    ):
        async with other.write() as before:
            await before.execute(text(f"SELECT pg_advisory_xact_lock({migrations.LOCK})"))
            migrating = asyncio.create_task(migrate(database))
            # Longer than the server's limit and our own, which comes a second after it.
            await before.execute(text("SELECT pg_sleep(2)"))
            assert not migrating.done()
        assert await migrating
