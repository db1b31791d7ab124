"""One door to the database: SQLite in a file for one machine, PostgreSQL for several processes.

Inside SQLAlchemy speaks; its errors and those of the drivers become ours here, so that no other room knows them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Table, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pipeline.errors import StateUnavailable
from pipeline.settings import StateSettings
from pipeline.state.connecting import address_of, engine_for, try_file
from pipeline.state.database_errors import explain, passing

WRITING = {"upscale_begin": "BEGIN IMMEDIATE"}
Connection = AsyncConnection
"""What every function of this room takes part in: other rooms hand it on and ask nothing of it."""


class Dialect(StrEnum):
    """Which database it is, in SQLAlchemy's word."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Database:
    """An open database, shared by all tasks of the process."""

    dialect: Dialect
    address: str
    """Where it is, for a person."""
    engine: AsyncEngine
    timeout_seconds: float
    turn: asyncio.Lock | None
    """SQLite has one writer. Ours queue here, in order: the database would let them race, and sleep between tries."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read through. On SQLite all of it sees one moment; on PostgreSQL each statement does.

        Raises `StateUnavailable`, also out of the block, for what may succeed soon.
        """
        with passing():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: kept when the block ends, undone when it raises. Blocks may not be nested.

        Raises `StateUnavailable`, also out of the block, for what may succeed soon.
        """
        with passing():
            async with self._turn(), self.engine.execution_options(**WRITING).begin() as connection:
                yield connection

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self.turn is None else _within(self.turn, self.timeout_seconds)


@asynccontextmanager
async def _within(turn: asyncio.Lock, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            await turn.acquire()
    except TimeoutError:
        raise StateUnavailable(f"other writers took longer than {seconds:g} s") from None
    try:
        yield
    finally:
        turn.release()


@asynccontextmanager
async def open_database(settings: StateSettings, *, migrating: bool = False) -> AsyncIterator[Database]:
    """The database that `settings.url` names, connected to once; its tables are not looked at.

    Only for `migrating` is a missing file of SQLite made, which who reads would find empty, and an answer of PostgreSQL
    waited for without end, since a step may take long.

    Raises `InvalidSettings` for a URL that names none, `ServiceUnreachable` or `ServiceRefused` when it is not there
    or will not have us.
    """
    address = address_of(settings)
    engine = engine_for(settings, migrating=migrating)
    dialect = Dialect(engine.dialect.name)
    turn = asyncio.Lock() if dialect is Dialect.SQLITE else None
    try:
        await _reach(engine, dialect, address, migrating=migrating)
        yield Database(dialect, address, engine, settings.timeout_seconds, turn)
    finally:
        await engine.dispose()


async def _reach(engine: AsyncEngine, dialect: Dialect, address: str, *, migrating: bool) -> None:
    try:
        if dialect is Dialect.SQLITE:
            await asyncio.to_thread(try_file, address, make=migrating)
        async with engine.connect():
            pass
    except Exception as error:
        if (explained := explain(error, address)) is None:
            raise
        raise explained from error


def inserting(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`, which both have.

    `dialect` is `connection.dialect.name`.
    """
    return sqlite.insert(table) if dialect == Dialect.SQLITE else postgresql.insert(table)


def among(
    connection: AsyncConnection, columns: Sequence[Column[Any]], keys: Sequence[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Whether `columns` of a row are one of `keys`, of which there is at least one.

    PostgreSQL gets them as one list a column: a statement with 500 names written out took 220 ms to plan, this one 12.
    SQLite gets them as one JSON text: it uses no index for several rows of VALUES, and reads the whole table instead.
    """
    row = tuple_(*columns)
    if connection.dialect.name == Dialect.SQLITE:
        each = func.json_each(json.dumps(keys)).table_valued("value")
        return row.in_(select(*(func.json_extract(each.c.value, f"$[{place}]") for place in range(len(columns)))))
    lists = (
        literal(list(values), ARRAY(column.type))
        for column, values in zip(columns, zip(*keys, strict=True), strict=True)
    )
    return row.in_(select(*map(func.unnest, lists)))
