"""Bringing the tables up to date, and refusing to work on others."""

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from pipeline.errors import ServiceRefused
from pipeline.state.connecting import SETTING
from pipeline.state.database import Database, Dialect
from pipeline.state.database_errors import SERVICE

STEPS = Path(__file__).parent / "migrations"
LOCK = 0x75707363616C65
"""Key of PostgreSQL's advisory lock: `upscale` in ASCII."""


async def migrate(database: Database) -> bool:
    """Make the tables those of this program, keeping what is in them; whether anything was to be done.

    `database` was opened for migrating.

    All steps are one transaction, and of several processes one does them while the others wait. Raises
    `ServiceRefused` when the tables are those of a newer program, `StateUnavailable`.
    """
    async with database.write() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            # A step may take long, and so may whoever is before us.
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        return await connection.run_sync(_upgrade, database.address)


async def check(database: Database) -> None:
    """Return when the tables are those of this program. Raises `ServiceRefused`, `StateUnavailable`."""
    async with database.read() as connection:
        found = await connection.run_sync(_revision)
    _refuse_unknown(found, database.address)
    if found != newest():
        held = f"its tables are those of an older program, step {found}" if found else "it has no tables yet"
        raise ServiceRefused(SERVICE, database.address, SETTING, f"{held}; run `upscale state migrate`")


def newest() -> str:
    """The last step that this program knows."""
    head = _script().get_current_head()
    assert head is not None
    return head


def _upgrade(connection: Connection, address: str) -> bool:
    found, script = _revision(connection), _script()
    _refuse_unknown(found, address)
    steps = list(script.iterate_revisions("head", found or "base"))
    context = MigrationContext.configure(connection)
    for step in reversed(steps):
        with Operations.context(context):
            step.module.upgrade()
        context.stamp(script, step.revision)
    return bool(steps)


def _refuse_unknown(found: str | None, address: str) -> None:
    if found is not None and found not in {step.revision for step in _script().walk_revisions()}:
        reason = f"its tables are those of a newer program, step {found}; use a program at least as new"
        raise ServiceRefused(SERVICE, address, SETTING, reason)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(STEPS))
