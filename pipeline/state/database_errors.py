"""What an error of the database means: it passes, the operator has to act, or it is a mistake of ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable, StateUnavailable
from pipeline.state.connecting import SETTING

SERVICE = "database"

PASSING_STATES = {
    "08": "the connection broke off",
    "25006": "it only reads at the moment",
    "40": "another transaction was in the way",
    "53": "it has no room or no connection left",
    "55P03": "another transaction took too long",
    "57": "it ended the statement or is being restarted",
}
"""Of PostgreSQL: SQLSTATE, or its class in two characters. See appendix A of its manual."""

PASSING_CODES = {
    sqlite3.SQLITE_BUSY: "another writer took too long",
    sqlite3.SQLITE_LOCKED: "another writer took too long",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}
"""Of SQLite: its primary result codes."""

REFUSED_STATES = {
    "28": "it does not know the user, or the password is wrong",
    "3D000": "it has no database of this name",
    "42501": "the user may not do what is needed",
}


@contextmanager
def passing() -> Iterator[None]:
    """Raise `StateUnavailable` for errors of the database that may not come again; let all others through."""
    try:
        yield
    except Exception as error:
        if (reason := _passing_reason(error)) is None:
            raise
        raise StateUnavailable(reason) from error


def explain(error: Exception, address: str) -> PipelineError | None:
    """Why there is no connection, in the operator's words; None for what is not the database's doing."""
    cause = _cause(error)
    if refused := _by_state(cause, REFUSED_STATES):
        return ServiceRefused(SERVICE, address, SETTING, refused)
    if reason := _passing_reason(error):
        return ServiceUnreachable(SERVICE, address, SETTING, reason)
    if isinstance(cause, sqlite3.Error):
        return ServiceRefused(SERVICE, address, SETTING, str(cause))
    if isinstance(cause, (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)):
        return ServiceRefused(SERVICE, address, SETTING, f"{type(cause).__name__} while connecting")
    return None


def _passing_reason(error: Exception) -> str | None:
    cause = _cause(error)
    if isinstance(error, NoConnectionFree):
        return "all connections are in use"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, OSError):
        return "the connection is refused or breaks off"
    if found := _by_state(cause, PASSING_STATES):
        return found
    if code := getattr(cause, "sqlite_errorcode", 0):
        return PASSING_CODES.get(code & 0xFF)
    return PASSING_STATES["08"] if isinstance(error, DBAPIError) and error.connection_invalidated else None


def _by_state(cause: BaseException | None, meanings: dict[str, str]) -> str | None:
    state = getattr(cause, "sqlstate", None) or ""
    return meanings.get(state) or meanings.get(state[:2])


def _cause(error: Exception) -> BaseException | None:
    """The driver's own error: SQLAlchemy wraps it, and its adapters wrap it once more."""
    found: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    return found.__cause__ if found is not None and type(found).__module__.startswith("sqlalchemy.") else found
