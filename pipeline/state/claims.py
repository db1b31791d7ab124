"""Taking what is due, by any number of dispatchers: each delivery by one at a time, each endpoint within its slots.

Every function takes part in the caller's transaction, which `Database.write()` begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, Row, Select, String, bindparam, exists, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import Dialect
from pipeline.state.endpoints import endpoint_of
from pipeline.state.health import probing, slots
from pipeline.state.records import Endpoint, PendingDelivery
from pipeline.state.tables import deliveries, endpoints
from pipeline.state.waiting import due, endpoints_waiting, open_to_attempts
from schemas.callbacks import WebhookEvent


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
    """What was taken, and where to look first the next time, so that with more endpoints than room all get their turn."""

    deliveries: tuple[PendingDelivery, ...]
    start: str


async def claim(connection: AsyncConnection, room: Room, now: float, lease_seconds: float) -> Claimed:
    """Take due deliveries, the oldest of each endpoint. Who dies with them lets go of them after `lease_seconds`.

    Nobody waits for another: what a second dispatcher is taking at this moment is passed over.
    """
    looked_at = await _ready(connection, room, now)
    wanted = shares(looked_at, room, now)
    probes = await _unprobed(connection, [one.id for one in wanted if probing(one.health)], now)
    allowed = {one.id: number for one, number in wanted.items() if not probing(one.health) or one.id in probes}
    rows = await _locked(connection, allowed, now)
    taken = {row.endpoint_id for row in rows}
    until = now + lease_seconds
    await _claim(connection, [row.id for row in rows], until)
    await _probe(connection, probes & taken, until)
    by_id = {one.id: one for one in wanted}
    return Claimed(
        tuple(_pending(row, by_id[row.endpoint_id]) for row in rows),
        max((one.id for one in looked_at), default="") if False else _stopped(looked_at, wanted),
    )
