"""Which jobs are to be told of, and by whom: of several dispatchers that see a call due, one makes it."""

from collections.abc import Sequence

from sqlalchemy import case, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import among
from pipeline.state.job_rows import fetch, row_from
from pipeline.state.jobs import ENDED, JobRow
from pipeline.state.tables import jobs
from pipeline.state.telling import FORGET_SECONDS, TELL_SECONDS


async def due_to_tell(connection: AsyncConnection, now: float, limit: int) -> list[JobRow]:
    """Up to `limit` jobs whose call is due, the longest due first; those that another transaction holds are left out.

    Jobs that have not been heard of for too long are struck off on the way, so it wants a transaction that writes.
    """
    due = jobs.c.tell_at <= now
    lost = update(jobs).where(due, jobs.c.event_at < now - FORGET_SECONDS).values(tell_at=None)
    await connection.execute(lost)
    query = select(jobs).where(due).order_by(jobs.c.tell_at).limit(limit)
    return await fetch(connection, query.with_for_update(skip_locked=True))


async def told(connection: AsyncConnection, rows: Sequence[JobRow], now: float) -> list[JobRow]:
    """Note that these jobs are told of now, and return those that are ours to tell, as they are now.

    Left out is who has been told by another since `rows` were read, and whose job has ended: its end is told instead.
    """
    if not rows:
        return []
    seen = [(*row.name, row.told.count) for row in rows]
    again = now + TELL_SECONDS
    statement = (
        update(jobs)
        .where(among(connection, (jobs.c.tenant, jobs.c.job_id, jobs.c.told), seen), jobs.c.rank < ENDED)
        .values(
            told=jobs.c.told + 1,
            told_at=now,
            told_event=jobs.c.event_id,
            # As `next_telling` has it of a job that was told of just now.
            tell_at=case((jobs.c.event_at + FORGET_SECONDS >= again, again), else_=null()),
        )
        .returning(*jobs.c)
    )
    return [row_from(found) for found in await connection.execute(statement)]
