"""The delivery log: what was sent where, how each attempt ended, and what is next."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.records import DeliveryState, Outcome, Reason
from pipeline.state.tables import attempts, deliveries
from schemas.callbacks import WebhookEvent


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """An attempt, as the delivery log shows it."""

    number: int
    started_at: float
    seconds: float
    outcome: Outcome
    status: int | None


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """A delivery, as the delivery log shows it: never what was sent, and of the URL no query, which may be a secret."""

    id: str
    message_id: str
    endpoint_id: str
    tenant: str
    job_id: str | None
    event: WebhookEvent
    url: str
    created_at: float
    state: DeliveryState
    reason: Reason | None
    due_at: float | None
    """The next attempt, of one that is pending."""
    attempts: tuple[LoggedAttempt, ...]
    """Oldest first."""


async def log_of(
    connection: AsyncConnection,
    *,
    tenant: str | None = None,
    endpoint_id: str | None = None,
    job_id: str | None = None,
    since: float = 0.0,
    limit: int = 100,
) -> tuple[LoggedDelivery, ...]:
    """Deliveries of events since then, newest first, each with its attempts; of a tenant, endpoint or job where named.

    Who asks on behalf of a tenant names it, whatever endpoint was asked for.
    """
    named = [deliveries.c.created_at >= since]
    if tenant is not None:
        named.append(deliveries.c.tenant == tenant)
    if endpoint_id is not None:
        named.append(deliveries.c.endpoint_id == endpoint_id)
    if job_id is not None:
        named.append(deliveries.c.job_id == job_id)
    return await _logged(connection, limit, *named)


async def logged(connection: AsyncConnection, delivery_id: str) -> LoggedDelivery | None:
    """The delivery of that id."""
    return next(iter(await _logged(connection, 1, deliveries.c.id == delivery_id)), None)


async def _logged(connection: AsyncConnection, limit: int, *which: ColumnElement[bool]) -> tuple[LoggedDelivery, ...]:
    shown = [column for column in deliveries.c if column is not deliveries.c.body]
    newest = select(*shown).where(*which).order_by(deliveries.c.created_at.desc(), deliveries.c.id).limit(limit)
    rows = (await connection.execute(newest)).all()
    made = await _attempts(connection, [row.id for row in rows])
    return tuple(_shown(row, made.get(row.id, ())) for row in rows)


async def _attempts(connection: AsyncConnection, ids: list[str]) -> dict[str, tuple[LoggedAttempt, ...]]:
    theirs = select(attempts).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.number)
    found: dict[str, tuple[LoggedAttempt, ...]] = {}
    for row in await connection.execute(theirs):
        one = LoggedAttempt(row.number, row.started_at, row.seconds, Outcome(row.outcome), row.status)
        found[row.delivery_id] = (*found.get(row.delivery_id, ()), one)
    return found


def _shown(row: Row[Any], made: tuple[LoggedAttempt, ...]) -> LoggedDelivery:
    return LoggedDelivery(
        id=row.id,
        message_id=row.message_id,
        endpoint_id=row.endpoint_id,
        tenant=row.tenant,
        job_id=row.job_id,
        event=WebhookEvent(row.event),
        url=urlsplit(row.url)._replace(query="", fragment="").geturl(),
        created_at=row.created_at,
        state=DeliveryState(row.state),
        reason=None if row.reason is None else Reason(row.reason),
        due_at=row.due_at if row.state == DeliveryState.PENDING else None,
        attempts=made,
    )
