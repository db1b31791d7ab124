"""What came of attempts: the log, where their deliveries go, and how their endpoints are doing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.endpoints import endpoint_of
from pipeline.state.health import after, disabling
from pipeline.state.records import (
    Abandoned,
    Attempted,
    Delivered,
    DeliveryState,
    Endpoint,
    EndpointKind,
    Next,
    Outcome,
    RetryAt,
)
from pipeline.state.tables import attempts, deliveries, endpoints

ANSWERS = frozenset({Outcome.REFUSED, Outcome.REDIRECTED, Outcome.GONE})
"""What an origin that is well may say of one of its URLs: theirs are as many as there are requests."""

ByEndpoint = Mapping[str, Sequence[Attempted]]


async def record(connection: AsyncConnection, made: Sequence[Attempted], now: float) -> tuple[Endpoint, ...]:
    """Write down attempts that were made; the endpoints that are disabled from now on because of them.

    What has been written already, or was made on a claim that ran out and was made by another since, changes nothing.
    A handful of statements, however many there are; a few thousand at most. Takes part in the caller's transaction,
    which `Database.write()` begins.
    """
    standing = await _standing(connection, made)
    if not standing:
        return ()
    await connection.execute(insert(attempts), [_logged(one) for one in standing])
    await _move(connection, standing, now)
    of_endpoint: defaultdict[str, list[Attempted]] = defaultdict(list)
    for one in sorted(standing, key=ended_at):
        of_endpoint[one.delivery.endpoint.id].append(one)
    return await _judge(connection, of_endpoint, now)


def following(one: Attempted, earlier: int, due_at: float) -> Next:
    """What becomes of the delivery: what the schedule says, unless it began anew while the attempt was made."""
    if isinstance(one.next, Delivered) or earlier == one.delivery.earlier:
        return one.next
    return RetryAt(due_at)


def judged(endpoint: Endpoint, made: Iterable[Attempted], now: float) -> Endpoint:
    """The endpoint after these attempts, oldest first: its health, and whether it is disabled."""
    health, gone = endpoint.health, False
    for one in made:
        health = after(health, _well(endpoint, one.answer.outcome), ended_at(one))
        gone |= one.answer.outcome is Outcome.GONE and endpoint.kind is EndpointKind.REGISTERED
    endpoint = replace(endpoint, health=health)
    if endpoint.disabled_at is None and (gone or disabling(health, now)):
        return replace(endpoint, disabled_at=now, disabled_reason="gone" if gone else "failing")
    return endpoint


def ended_at(one: Attempted) -> float:
    """When the attempt ended."""
    return one.answer.started_at + one.answer.seconds


def _well(endpoint: Endpoint, outcome: Outcome) -> bool:
    return outcome is Outcome.DELIVERED or (endpoint.kind is EndpointKind.REQUEST and outcome in ANSWERS)


async def _standing(connection: AsyncConnection, made: Sequence[Attempted]) -> list[Attempted]:
    """The attempts that count, with what really follows; their deliveries are ours until the transaction ends."""
    by_id = {one.delivery.id: one for one in made}
    columns = (deliveries.c.id, deliveries.c.attempts, deliveries.c.earlier, deliveries.c.due_at)
    # In one order for everybody: two that lock the same ones crosswise would wait for each other.
    theirs = select(*columns).where(deliveries.c.id.in_(by_id)).order_by(deliveries.c.id)
    rows = await connection.execute(theirs.with_for_update())
    return [
        replace(by_id[row.id], next=following(by_id[row.id], row.earlier, row.due_at))
        for row in rows
        if by_id[row.id].delivery.number == row.attempts + 1
    ]


async def _move(connection: AsyncConnection, standing: Iterable[Attempted], now: float) -> None:
    counted = {"attempts": deliveries.c.attempts + 1, "claimed_until": 0.0}
    ended: defaultdict[Delivered | Abandoned, list[str]] = defaultdict(list)
    again: list[dict[str, Any]] = []
    for one in standing:
        if isinstance(one.next, RetryAt):
            again.append({"of": one.delivery.id, "at": one.next.at})
        else:
            ended[one.next].append(one.delivery.id)
    for end, ids in ended.items():
        values = {**counted, "ended_at": now, **_end(end)}
        await connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(values))
    if again:
        each = update(deliveries).where(deliveries.c.id == bindparam("of"))
        await connection.execute(each.values(due_at=bindparam("at"), **counted), again)


def _end(end: Delivered | Abandoned) -> dict[str, Any]:
    if isinstance(end, Delivered):
        return {"state": DeliveryState.DELIVERED, "reason": None}
    return {"state": DeliveryState.ABANDONED, "reason": end.reason}


async def _judge(connection: AsyncConnection, made: ByEndpoint, now: float) -> tuple[Endpoint, ...]:
    """Most endpoints are as well as they were, and nobody waits for them; the others are looked at again, locked."""
    theirs = select(endpoints).where(endpoints.c.id.in_(made))
    before = [endpoint_of(row) for row in await connection.execute(theirs)]
    if not (changed := [one.id for one in before if judged(one, made[one.id], now) != one]):
        return ()
    locking = select(endpoints).where(endpoints.c.id.in_(changed)).order_by(endpoints.c.id)
    rows = await connection.execute(locking.with_for_update(key_share=True))
    pairs = [(one, judged(one, made[one.id], now)) for one in map(endpoint_of, rows)]
    statement = update(endpoints).where(endpoints.c.id == bindparam("of"))
    await connection.execute(statement, [_doing(new) for _, new in pairs])
    disabled = tuple(new for old, new in pairs if old.disabled_at is None and new.disabled_at is not None)
    # In the same transaction: should we die now, another dispatcher says so.
    untold = update(endpoints).where(endpoints.c.id.in_([one.id for one in disabled])).values(untold=1)
    await connection.execute(untold)
    return disabled


def _doing(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "of": endpoint.id,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
        "failures_in_row": endpoint.health.failures_in_row,
        "failing_since": endpoint.health.failing_since,
        "held_until": endpoint.health.held_until,
        "probe_until": 0.0,
    }


def _logged(one: Attempted) -> dict[str, Any]:
    return {
        "delivery_id": one.delivery.id,
        "number": one.delivery.number,
        "started_at": one.answer.started_at,
        "seconds": one.answer.seconds,
        "outcome": one.answer.outcome,
        "status": one.answer.status,
    }
