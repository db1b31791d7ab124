"""What is to be delivered: written down before anything is sent, and asked for again by people.

Every function takes part in the caller's transaction; `Database.write()` begins one for those that change something.
"""

from collections.abc import Collection, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Executable, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import inserting
from pipeline.state.records import DeliveryState, NewDelivery
from pipeline.state.tables import deliveries, endpoints

ROWS = 500
"""In one statement. A row has fewer than 20 values, and both databases take at most some 32,000."""

PENDING = deliveries.c.state == literal_column(f"'{DeliveryState.PENDING}'")
"""Written out: databases use a partial index only where they see its condition, which they do not in a parameter."""


async def plan(
    connection: AsyncConnection, planned: Sequence[NewDelivery], claimed_until: float = 0.0
) -> frozenset[str]:
    """Write down what is new and return its ids; what is there already stays as it is, wherever it has got to.

    Until `claimed_until` the new ones are the caller's own to attempt.
    """
    # In one order for everybody: two that insert the same ones crosswise would wait for each other.
    rows = [_row(one, claimed_until) for one in sorted(planned, key=attrgetter("id"))]
    statement = _planning(connection.dialect.name)
    new: set[str] = set()
    for start in range(0, len(rows), ROWS):
        new.update((await connection.execute(statement, rows[start : start + ROWS])).scalars())
    return frozenset(new)


@cache
def _planning(dialect: str) -> Executable:
    return inserting(dialect, deliveries).on_conflict_do_nothing().returning(deliveries.c.id)


async def release(connection: AsyncConnection, ids: Collection[str]) -> None:
    """Give claims back, so that nobody has to wait until they run out."""
    changed = update(deliveries).where(_in_order(PENDING, deliveries.c.id.in_(ids))).values(claimed_until=0.0)
    theirs = set((await connection.execute(changed.returning(deliveries.c.endpoint_id))).scalars())
    probed = select(endpoints.c.id).where(endpoints.c.id.in_(theirs), endpoints.c.probe_until > 0)
    ordered = probed.order_by(endpoints.c.id).with_for_update(key_share=True)
    await connection.execute(update(endpoints).where(endpoints.c.id.in_(ordered)).values(probe_until=0.0))


async def resend(connection: AsyncConnection, delivery_id: str, now: float) -> bool:
    """Deliver it again, delivered or not, by a new round of the schedule; False when there is none of that id."""
    return bool(await _again(connection, now, deliveries.c.id == delivery_id))


async def recover(connection: AsyncConnection, endpoint_id: str, since: float, now: float) -> int:
    """Deliver by a new round of the schedule what happened since then and was not delivered; how many.

    All but progress, which is out of date. A disabled endpoint gets it once it is enabled.
    """
    tenant = select(endpoints.c.tenant).where(endpoints.c.id == endpoint_id).scalar_subquery()
    return await _again(
        connection,
        now,
        deliveries.c.tenant == tenant,  # they are found by its index
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.created_at >= since,
        deliveries.c.state != DeliveryState.DELIVERED,
        deliveries.c.once == 0,
    )


async def _again(connection: AsyncConnection, now: float, *which: ColumnElement[bool]) -> int:
    """A claim stays: the attempt that is under way is counted, and what follows from its failure is not."""
    changed = await connection.execute(
        update(deliveries)
        .where(_in_order(*which))
        .values(
            state=DeliveryState.PENDING,
            reason=None,
            ended_at=None,
            due_at=now,
            earlier=deliveries.c.attempts,
        )
    )
    return changed.rowcount


def _in_order(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    """These deliveries, locked in the order in which everybody locks them: nobody waits crosswise."""
    locked = select(deliveries.c.id).where(*which).order_by(deliveries.c.id).with_for_update()
    return deliveries.c.id.in_(locked)


def _row(planned: NewDelivery, claimed_until: float) -> dict[str, Any]:
    return {
        "id": planned.id,
        "message_id": planned.message_id,
        "endpoint_id": planned.endpoint_id,
        "tenant": planned.tenant,
        "job_id": planned.job_id,
        "event": planned.event,
        "url": planned.url,
        "body": planned.body,
        "created_at": planned.created_at,
        "once": int(planned.once),
        "state": planned.state,
        "reason": planned.reason,
        "due_at": planned.due_at,
        "claimed_until": claimed_until,
        "ended_at": None if planned.state is DeliveryState.PENDING else planned.due_at,
    }
