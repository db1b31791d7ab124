"""The rows of jobs in the database."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, Select, and_, case, null, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import among, inserting
from pipeline.state.jobs import ENDED, JobName, JobRow, Told
from pipeline.state.tables import jobs
from pipeline.state.telling import next_telling
from schemas.callbacks import Webhook
from schemas.webhooks import JobState

NAMES_AT_ONCE = 500
"""Of one statement; SQLite takes 32,766 values, and a row is named by two."""


async def read_jobs(connection: AsyncConnection, names: Iterable[JobName]) -> dict[JobName, JobRow]:
    """The rows there are of these jobs, held against other writers until the transaction ends.

    They are taken in one order, so that two who want the same jobs wait and never lock each other out.
    """
    wanted = sorted(set(names))
    found: dict[JobName, JobRow] = {}
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        some = wanted[start : start + NAMES_AT_ONCE]
        query = select(jobs).where(among(connection, (jobs.c.tenant, jobs.c.job_id), some))
        locked = query.order_by(jobs.c.tenant, jobs.c.job_id).with_for_update()
        found.update((row.name, row) for row in await fetch(connection, locked))
    return found


async def find(connection: AsyncConnection, name: JobName) -> JobRow | None:
    """One job, if anything is known of it."""
    query = select(jobs).where(jobs.c.tenant == name.tenant, jobs.c.job_id == name.job_id)
    return next(iter(await fetch(connection, query)), None)


async def write_jobs(connection: AsyncConnection, rows: Sequence[JobRow], now: float) -> None:
    """Write what is known of these jobs, one row each, and when their requesters are called next.

    The database merges as `merged` does, so that whoever writes between our reading and our writing loses nothing.
    """
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: row.name)
    await connection.execute(_writing(connection.dialect.name), [_columns(row, now) for row in ordered])


async def fetch(connection: AsyncConnection, query: Select[Any]) -> list[JobRow]:
    """The rows of a query for all columns of `jobs`."""
    return [row_from(found) for found in await connection.execute(query)]


def row_from(found: Row[Any]) -> JobRow:
    """A row as it comes from the database."""
    return JobRow(
        name=JobName(found.tenant, found.job_id),
        state=JobState(found.state),
        event_at=found.event_at,
        event_id=found.event_id,
        labels=found.labels or {},
        detail=found.detail or {},
        created_at=found.created_at,
        webhook=None if found.webhook is None else Webhook.model_validate(found.webhook),
        told=Told(found.told, found.told_at, found.told_event),
    )


def _columns(row: JobRow, now: float) -> dict[str, Any]:
    return {
        "tenant": row.name.tenant,
        "job_id": row.name.job_id,
        "state": row.state,
        "rank": row.rank,
        "event_at": row.event_at,
        "event_id": row.event_id,
        "labels": dict(row.labels) or None,
        "detail": dict(row.detail) or None,
        "created_at": row.created_at,
        "webhook": None if row.webhook is None else row.webhook.model_dump(mode="json"),
        "tell_at": next_telling(row, now),
    }


@cache
def _writing(dialect: str) -> Executable:
    """Built once: that is most of what it costs."""
    statement = inserting(dialect, jobs)
    return statement.on_conflict_do_update(index_elements=["tenant", "job_id"], set_=_merging(statement))


def _merging(statement: sqlite.Insert | postgresql.Insert) -> Mapping[str, ColumnElement[Any]]:
    """What becomes of each column of a row that is there already.

    Of equals the new one is taken: it is `merged` with the other already, except where both were written at once.
    """
    held, new = jobs.c, statement.excluded
    higher = tuple_(new.rank, new.event_at, new.event_id) >= tuple_(held.rank, held.event_at, held.event_id)
    earlier = or_(new.created_at <= held.created_at, and_(held.created_at.is_(None), new.created_at.is_not(None)))
    no_request = and_(held.created_at.is_(None), new.created_at.is_(None))
    return {
        **{
            name: case((higher, new[name]), else_=held[name])
            for name in ("state", "rank", "event_at", "event_id", "detail")
        },
        **{name: case((earlier, new[name]), else_=held[name]) for name in ("created_at", "webhook")},
        "labels": case((or_(earlier, and_(no_request, higher)), new.labels), else_=held.labels),
        "tell_at": case((held.rank < ENDED, new.tell_at), else_=null()),
    }
