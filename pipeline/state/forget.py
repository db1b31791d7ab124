"""Forget: what is over and old leaves the tables, so that they grow with what happens and not with time.

Every function takes at most `limit` rows, the oldest first, and takes part in the caller's transaction, which
`Database.write()` begins.
"""

from sqlalchemy import and_, delete, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.jobs import ENDED
from pipeline.state.records import DeliveryState
from pipeline.state.tables import deliveries, endpoints, jobs

_ENDED = jobs.c.rank == literal_column(str(ENDED))
"""Written out, as the index has it."""


async def forget_deliveries(connection: AsyncConnection, before: float, limit: int) -> int:
    """Forget what ended before then; how many it was.

    What is to be attempted is kept, unless its endpoint has been disabled for as long.
    """
    disabled = select(endpoints.c.id).where(endpoints.c.disabled_at < before)
    given_up = and_(deliveries.c.state == DeliveryState.PENDING, deliveries.c.endpoint_id.in_(disabled))
    oldest = (
        select(deliveries.c.id)
        # Nothing ends before it is made, and of the two only the making has an index.
        .where(deliveries.c.created_at < before, or_(deliveries.c.ended_at < before, given_up))
        .order_by(deliveries.c.created_at)
        .limit(limit)
    )
    return (await connection.execute(delete(deliveries).where(deliveries.c.id.in_(oldest)))).rowcount


async def forget_jobs(connection: AsyncConnection, before: float, limit: int) -> int:
    """Forget jobs that ended before then; how many it was.

    An end that is read again afterwards is that of a new job: `before` has to lie further back than events are kept.
    """
    name = (jobs.c.tenant, jobs.c.job_id)
    oldest = select(*name).where(_ENDED, jobs.c.event_at < before).order_by(jobs.c.event_at).limit(limit)
    # Others lock jobs in another order: we wait for none of them, and leave what they hold for the next time.
    held = oldest.with_for_update(skip_locked=True).cte("oldest")
    gone = delete(jobs).where(tuple_(*name).in_(select(held))).returning(jobs.c.rank)
    # SQLite counts no rows of a statement that begins with its common table.
    return len((await connection.execute(gone)).all())
