"""Taking what is due, by any number of dispatchers: each delivery by one at a time, each endpoint within its slots."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    CompoundSelect,
    Double,
    Integer,
    Row,
    Select,
    String,
    bindparam,
    column,
    exists,
    func,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import Dialect
from pipeline.state.endpoints import endpoint_of
from pipeline.state.health import probing, slots
from pipeline.state.records import Endpoint, PendingDelivery
from pipeline.state.tables import deliveries, endpoints
from pipeline.state.waiting import due, endpoints_waiting, open_to_attempts
from schemas.callbacks import WebhookEvent

TERMS = 100
"""Endpoints of one statement; SQLite takes at most 500 terms."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a dispatcher can attempt beside what it has under way."""

    number: int
    """Deliveries wanted, in all."""
    per_endpoint: int
    """Attempts under way at a time."""
    per_host: int
    """Several endpoints may share one."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """Attempts under way here, by endpoint id."""
    busy_hosts: Mapping[str, int] = field(default_factory=dict)
    start: str = ""
    """Endpoint id after which to look first: where the last claim stopped."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was taken, and where to go on the next time: with more endpoints than room all get their turn."""

    deliveries: tuple[PendingDelivery, ...]
    start: str


async def claim(connection: AsyncConnection, room: Room, now: float, lease_seconds: float) -> Claimed:
    """Take due deliveries, the oldest of each endpoint. Who dies with them lets go of them after `lease_seconds`.

    Nobody waits for another: what a second dispatcher is taking at this moment is passed over. Takes part in the
    caller's transaction, which `Database.write()` begins.
    """
    ready = await _ready(connection, room, now)
    wanted = shares(ready, room, now)
    open_circuits = {one.id for one in ready if one.id in wanted and probing(one.health)}
    unprobed = await _unprobed(connection, open_circuits, now)
    rows = await _locked(connection, {key: wanted[key] for key in wanted if key not in open_circuits - unprobed}, now)
    until = now + lease_seconds
    await _set(connection, deliveries.c.claimed_until, {row.id for row in rows}, until)
    await _set(connection, endpoints.c.probe_until, unprobed & {row.endpoint_id for row in rows}, until)
    by_id = {one.id: one for one in ready}
    # When all had their turn it does not matter who is first.
    last = next(reversed(wanted), "") if len(wanted) < len(ready) else ""
    return Claimed(tuple(_pending(row, by_id[row.endpoint_id]) for row in rows), last)


def shares(ready: Iterable[Endpoint], room: Room, now: float) -> dict[str, int]:
    """How many deliveries to take of each endpoint, by id, in the order given; those that get none are left out."""
    left, hosts, taken = room.number, dict(room.busy_hosts), dict[str, int]()
    for endpoint in ready:
        free = min(
            left,
            slots(endpoint.health, now, room.per_endpoint) - room.busy.get(endpoint.id, 0),
            room.per_host - hosts.get(endpoint.host, 0),
        )
        if free > 0:
            taken[endpoint.id] = free
            left -= free
            hosts[endpoint.host] = hosts.get(endpoint.host, 0) + free
    return taken


async def _ready(connection: AsyncConnection, room: Room, now: float) -> list[Endpoint]:
    """Endpoints that we could attempt something at, from `room.start` on and then from the beginning."""
    found = await _first(connection, room, now, room.number, after=True)
    if room.start and len(found) < room.number:
        found += await _first(connection, room, now, room.number - len(found), after=False)
    return found


async def _first(connection: AsyncConnection, room: Room, now: float, number: int, *, after: bool) -> list[Endpoint]:
    given = {
        "start": room.start,
        "now": now,
        "full": [key for key, attempts in room.busy.items() if attempts >= room.per_endpoint],
        "full_hosts": [host for host, attempts in room.busy_hosts.items() if attempts >= room.per_host],
        "number": number,
    }
    return [endpoint_of(row) for row in await connection.execute(_ready_after(after), given)]


@cache
def _ready_after(after: bool) -> Select[Any]:
    """Endpoints with something due that may be attempted, after `start` or up to it, ascending."""
    key, start, now = deliveries.c.endpoint_id, bindparam("start", type_=String), bindparam("now", type_=Double)
    waiting = endpoints_waiting(key > start if after else key <= start)
    something_due = exists().where(deliveries.c.endpoint_id == endpoints.c.id, due(now))
    return (
        select(endpoints)
        .join_from(waiting, endpoints, endpoints.c.id == waiting.c.id)
        .where(open_to_attempts(now), something_due)
        .where(endpoints.c.id.not_in(bindparam("full", expanding=True)))
        .where(endpoints.c.host.not_in(bindparam("full_hosts", expanding=True)))
        .limit(bindparam("number", type_=Integer))
    )


async def _unprobed(connection: AsyncConnection, ids: Collection[str], now: float) -> set[str]:
    """Those of these endpoints that nobody probes; nobody else will until our transaction ends."""
    if not ids:
        return set()
    free = select(endpoints.c.id).where(endpoints.c.id.in_(ids), open_to_attempts(now))
    # Others may insert deliveries for it meanwhile: they only need its key to stay.
    locked = await connection.execute(free.with_for_update(key_share=True, skip_locked=True))
    return set(locked.scalars())


async def _locked(connection: AsyncConnection, wanted: Mapping[str, int], now: float) -> list[Row[Any]]:
    if not wanted:
        return []
    if connection.dialect.name == Dialect.POSTGRESQL:
        return list(await connection.execute(_oldest_of_all(wanted, now)))
    pairs = list(wanted.items())
    rows = [
        await connection.execute(_oldest_of_each(len(some)), {"now": now} | _numbered(some))
        for some in (pairs[start : start + TERMS] for start in range(0, len(pairs), TERMS))
    ]
    return [row for each in rows for row in each]


@lru_cache(TERMS)
def _oldest_of_each(count: int) -> CompoundSelect[Any]:
    """For SQLite, where LIMIT cannot differ by row. It is built once for each count: that is most of what it costs."""
    return union_all(
        *(
            select(_oldest(bindparam("now"), bindparam(f"id{each}"), bindparam(f"number{each}")).subquery())
            for each in range(count)
        )
    )


def _numbered(pairs: Sequence[tuple[str, int]]) -> dict[str, str | int]:
    ids = {f"id{index}": key for index, (key, _) in enumerate(pairs)}
    return ids | {f"number{index}": number for index, (_, number) in enumerate(pairs)}


def _oldest(now: float | ColumnElement[float], of: ColumnElement[str], number: ColumnElement[int]) -> Select[Any]:
    theirs = select(deliveries).where(deliveries.c.endpoint_id == of, due(now))
    return theirs.order_by(deliveries.c.due_at).limit(number).with_for_update(skip_locked=True)


def _oldest_of_all(wanted: Mapping[str, int], now: float) -> Select[Any]:
    ids = bindparam("ids", list(wanted), ARRAY(String))
    numbers = bindparam("numbers", list(wanted.values()), ARRAY(Integer))
    each = func.unnest(ids, numbers).table_valued(column("id", String), column("number", Integer)).render_derived()
    oldest = _oldest(now, each.c.id, each.c.number).lateral()
    return select(oldest).join_from(each, oldest, true())


async def _set(connection: AsyncConnection, what: Column[Any], ids: Collection[str], until: float) -> None:
    if ids:
        await connection.execute(update(what.table).where(what.table.c.id.in_(ids)).values({what: until}))


def _pending(row: Row[Any], endpoint: Endpoint) -> PendingDelivery:
    return PendingDelivery(
        id=row.id,
        message_id=row.message_id,
        endpoint=endpoint,
        event=WebhookEvent(row.event),
        url=row.url,
        body=bytes(row.body),
        created_at=row.created_at,
        attempts=row.attempts - row.earlier,
        once=bool(row.once),
        earlier=row.earlier,
    )
