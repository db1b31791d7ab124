"""Which endpoints have something due, and how much waits in all: what the dispatcher asks for and what metrics show.

One endpoint may have 100,000 deliveries waiting. So the endpoints are walked along the partial index of what is
pending, from one endpoint's first entry to the next one's: a step costs the same however much an endpoint has.
"""

from sqlalchemy import CTE, ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.deliveries import PENDING
from pipeline.state.tables import deliveries, endpoints


def endpoints_waiting(*within: ColumnElement[bool]) -> CTE:
    """The ids of the endpoints that have pending deliveries, ascending; `within` bounds `deliveries.endpoint_id`.

    The last row is null.
    """
    first = select(func.min(deliveries.c.endpoint_id).label("id")).where(PENDING, *within)
    waiting = first.cte("waiting", recursive=True)
    after = select(func.min(deliveries.c.endpoint_id)).where(PENDING, deliveries.c.endpoint_id > waiting.c.id, *within)
    return waiting.union_all(select(after.scalar_subquery()).where(waiting.c.id.is_not(None)))


def due(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Deliveries that may be claimed, as far as they themselves are concerned."""
    return PENDING & (deliveries.c.due_at <= now) & (deliveries.c.claimed_until <= now)


def open_to_attempts(now: float | ColumnElement[float]) -> ColumnElement[bool]:
    """Endpoints that are neither disabled nor held, nor being probed by somebody."""
    return endpoints.c.disabled_at.is_(None) & (endpoints.c.held_until <= now) & (endpoints.c.probe_until <= now)


async def oldest_due(connection: AsyncConnection, now: float) -> float | None:
    """Since when the longest waiting delivery is due that we could attempt now; None when there is none.

    What a disabled or held endpoint keeps waiting is not our being late.
    """
    waiting = endpoints_waiting()
    oldest = (
        select(func.min(deliveries.c.due_at))
        .where(deliveries.c.endpoint_id == endpoints.c.id, due(now))
        .scalar_subquery()
    )
    each = select(oldest.label("due_at")).join_from(waiting, endpoints, endpoints.c.id == waiting.c.id)
    found = await connection.execute(select(func.min(each.where(open_to_attempts(now)).subquery().c.due_at)))
    longest: float | None = found.scalar_one()
    return longest


async def disabled_count(connection: AsyncConnection) -> int:
    """Endpoints that are not called until somebody enables them."""
    disabled = endpoints.c.disabled_at.is_not(None)
    return (await connection.execute(select(func.count()).select_from(endpoints).where(disabled))).scalar_one()
