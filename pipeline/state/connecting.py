"""From the URL in the settings to an engine: which driver, how a connection is set up, and what a person may see."""

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pipeline.settings import InvalidSettings, StateSettings
from pipeline.variables import variable

SETTING = variable("state", "url")
SQLITE_CONNECTIONS = 4
"""One writes, the others read beside it."""
CACHE_KIBIBYTES = 32_768
"""Of each connection. SQLite has 2 MiB otherwise, less than the indexes of a minute of deliveries."""
TRIES = 100
"""To turn a new file to write-ahead logging, each after whoever is before us."""


def address_of(settings: StateSettings) -> str:
    """Where the database is, as it may be shown: no user, no password, no parameters. Raises `InvalidSettings`."""
    url = _url(settings)
    if url.drivername == "sqlite":
        return url.database or ""
    host = url.host or str(url.query.get("host", "localhost"))
    return f"{host}:{url.port or 5432}/{url.database or ''}"


def engine_for(settings: StateSettings, *, migrating: bool = False) -> AsyncEngine:
    """An engine that has not connected yet. When `migrating` it is the server alone that ends what takes too long.

    Raises `InvalidSettings`.
    """
    url = _url(settings)
    # Parameters may be secrets of customers, and errors are logged.
    return _sqlite(url, settings) if url.drivername == "sqlite" else _postgresql(settings, migrating=migrating)


def _url(settings: StateSettings) -> URL:
    wanted = f"{SETTING}: must be `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`"
    try:
        url = make_url(settings.url.get_secret_value())
    except (ArgumentError, ValueError):
        raise InvalidSettings(wanted) from None
    if url.drivername not in ("sqlite", "postgresql"):
        raise InvalidSettings(f"{wanted}, got the scheme {url.drivername!r}")
    if url.drivername == "sqlite" and (url.host or url.query or url.database in (None, "", ":memory:")):
        raise InvalidSettings(f"{wanted}; of SQLite, the name of a file and nothing else")
    return url


def try_file(path: str, *, make: bool) -> None:
    """Open and close a file of SQLite; one that is missing is made if `make`. Raises `sqlite3.Error`; blocks.

    The driver leaves a thread behind when it cannot open a file, which fails in turn when the loop has ended by then.
    """
    if not make and not Path(path).exists():
        raise sqlite3.OperationalError("there is no such file; run `upscale state migrate`")
    sqlite3.connect(path).close()


def _sqlite(url: URL, settings: StateSettings) -> AsyncEngine:
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": settings.timeout_seconds, "isolation_level": None},
        pool_size=SQLITE_CONNECTIONS,
        max_overflow=0,
        pool_timeout=settings.timeout_seconds,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Readers beside the writer; a commit survives the process, and at power loss the file stays whole."""
    try:
        cursor = connection.cursor()
        _write_ahead(cursor)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON", f"cache_size=-{CACHE_KIBIBYTES}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except BaseException:
        # Nobody else would: the pool does not have it yet, and its thread would outlive us.
        connection.close()
        raise


def _write_ahead(cursor: Any) -> None:
    """The first to open a file turns it to write-ahead logging, for all who come later.

    Where several are first, SQLite refuses all but one without waiting; it does wait for an exclusive transaction.
    """
    for _ in range(TRIES):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        for statement in ("BEGIN EXCLUSIVE", "COMMIT"):
            cursor.execute(statement)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins with a read cannot wait for a writer later: SQLite refuses it at once.
    connection.exec_driver_sql(connection.get_execution_options().get("upscale_begin", "BEGIN"))


def _postgresql(settings: StateSettings, *, migrating: bool) -> AsyncEngine:
    milliseconds = str(round(settings.timeout_seconds * 1000))
    # The driver reads the URL itself: it knows the parameters that other clients of PostgreSQL take, as `sslmode`.
    connect = partial(
        asyncpg.connect,
        settings.url.get_secret_value(),
        timeout=settings.timeout_seconds,
        # Longer than the server's own, which ends the statement and not only our waiting for it.
        command_timeout=None if migrating else settings.timeout_seconds + 1,
        server_settings={
            "application_name": "upscale",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            "jit": "off",  # our statements are short, compiling them is not
        },
    )
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=settings.connections,
        max_overflow=0,
        pool_timeout=settings.timeout_seconds,
        hide_parameters=True,
    )
