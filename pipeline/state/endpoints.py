"""Receivers: registered by their tenants, or the origins of the URLs that requests name.

Every function takes part in the caller's transaction; `Database.write()` begins one for those that change something.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import inserting
from pipeline.state.records import Endpoint, EndpointKind, Health
from pipeline.state.tables import endpoints
from schemas.callbacks import DEFAULT_PAYLOAD, WebhookEvent

Origin = tuple[str, str]
"""Tenant; scheme, host and port of a URL, as `https://example.com:8443`."""

_ORIGINS = UUID("5b0c5a8e-6a62-4f39-8d0c-0b6f6f0a4c1e")
_WELL: Mapping[str, Any] = {"failures_in_row": 0, "failing_since": None, "held_until": 0.0, "probe_until": 0.0}


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What a tenant registers."""

    tenant: str
    url: str
    """Vetted by whoever takes it."""
    events: tuple[WebhookEvent, ...] | None = None
    """None is every terminal event."""
    payload: str = DEFAULT_PAYLOAD


async def register(
    connection: AsyncConnection,
    wanted: NewEndpoint,
    now: float,
    draw: Callable[[int], bytes] = secrets.token_bytes,
) -> Endpoint:
    """A new endpoint; the same URL may be registered again, and is then another one."""
    endpoint = Endpoint(
        id=f"ep_{draw(16).hex()}",
        tenant=wanted.tenant,
        kind=EndpointKind.REGISTERED,
        url=wanted.url,
        host=_host(wanted.url),
        events=wanted.events,
        payload=wanted.payload,
        created_at=now,
    )
    await connection.execute(inserting(connection.dialect.name, endpoints).values(_row(endpoint)))
    return endpoint


async def find(connection: AsyncConnection, endpoint_id: str) -> Endpoint | None:
    """The endpoint of that id."""
    return next(iter(await _where(connection, endpoints.c.id == endpoint_id)), None)


async def found(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Endpoint]:
    """Those of these endpoints that there are, by id."""
    return {endpoint.id: endpoint for endpoint in await _where(connection, endpoints.c.id.in_(ids))}


async def listed(
    connection: AsyncConnection, tenant: str | None = None, limit: int = 1000, *, disabled: bool = False
) -> tuple[Endpoint, ...]:
    """Endpoints of both kinds, newest first; of all tenants when none is named, `disabled` ones alone when asked."""
    wanted = [] if tenant is None else [endpoints.c.tenant == tenant]
    if disabled:
        wanted.append(endpoints.c.disabled_at.is_not(None))
    newest = select(endpoints).where(*wanted).order_by(endpoints.c.created_at.desc(), endpoints.c.id).limit(limit)
    return tuple(endpoint_of(row) for row in await connection.execute(newest))


async def of_tenants(connection: AsyncConnection, tenants: Collection[str]) -> dict[str, tuple[Endpoint, ...]]:
    """What each of these tenants has registered, disabled ones too, oldest first; nothing for who has none."""
    found: dict[str, tuple[Endpoint, ...]] = {}
    registered = endpoints.c.kind == EndpointKind.REGISTERED
    for endpoint in await _where(connection, registered, endpoints.c.tenant.in_(tenants)):
        found[endpoint.tenant] = (*found.get(endpoint.tenant, ()), endpoint)
    return found


async def origins(connection: AsyncConnection, wanted: Iterable[Origin], now: float) -> dict[Origin, Endpoint]:
    """The endpoint of each origin, made when it is new. Any number of processes may ask at a time: all get the same."""
    ids = {origin_id(*origin): origin for origin in wanted}
    if not ids:
        return {}
    found = {one.id: one for one in await _where(connection, endpoints.c.id.in_(ids))}
    # In one order for everybody: two that insert the same ones crosswise would wait for each other.
    new = [_row(_implicit(*ids[missing], now)) for missing in sorted(ids.keys() - found.keys())]
    if new:
        await connection.execute(inserting(connection.dialect.name, endpoints).on_conflict_do_nothing(), new)
        found = {one.id: one for one in await _where(connection, endpoints.c.id.in_(ids))}
    return {origin: found[key] for key, origin in ids.items()}


async def enable(connection: AsyncConnection, endpoint_id: str) -> Endpoint | None:
    """Call it again, as one that is well; what is due for it is attempted at once. None when there is none."""
    await connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(disabled_at=None, disabled_reason=None, untold=0, **_WELL)
    )
    return await find(connection, endpoint_id)


async def disable(connection: AsyncConnection, endpoint_id: str, reason: str, now: float) -> Endpoint | None:
    """Call it no more. None when there is none, or when it is disabled already, by whatever."""
    changed = await connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.disabled_at.is_(None))
        .values(disabled_at=now, disabled_reason=reason)
        .returning(endpoints)
    )
    row = changed.one_or_none()
    return None if row is None else endpoint_of(row)


async def untold(connection: AsyncConnection) -> list[Endpoint]:
    """Those that dispatchers have disabled and no event has told of yet."""
    return await _where(connection, endpoints.c.untold == 1)


async def told(connection: AsyncConnection, ids: Collection[str]) -> None:
    """An event has told of these."""
    await connection.execute(update(endpoints).where(endpoints.c.id.in_(ids)).values(untold=0))


def origin_id(tenant: str, origin: str) -> str:
    """The id of an origin's endpoint: whoever asks finds the same, without asking."""
    return "or_" + uuid5(_ORIGINS, f"{tenant}\n{origin}").hex


def endpoint_of(row: Row[Any]) -> Endpoint:
    """The endpoint in a row that has all of the table's columns."""
    return Endpoint(
        id=row.id,
        tenant=row.tenant,
        kind=EndpointKind(row.kind),
        url=row.url,
        host=row.host,
        events=None if row.events is None else tuple(map(WebhookEvent, row.events)),
        payload=row.payload,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        disabled_reason=row.disabled_reason,
        health=Health(row.failures_in_row, row.failing_since, row.held_until),
    )


async def _where(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Endpoint]:
    rows = await connection.execute(
        select(endpoints).where(*conditions).order_by(endpoints.c.created_at, endpoints.c.id)
    )
    return [endpoint_of(row) for row in rows]


def _implicit(tenant: str, origin: str, now: float) -> Endpoint:
    return Endpoint(
        id=origin_id(tenant, origin),
        tenant=tenant,
        kind=EndpointKind.REQUEST,
        url=origin,
        host=_host(origin),
        events=None,
        payload=DEFAULT_PAYLOAD,
        created_at=now,
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _row(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "tenant": endpoint.tenant,
        "kind": endpoint.kind,
        "url": endpoint.url,
        "host": endpoint.host,
        "events": endpoint.events,
        "payload": endpoint.payload,
        "created_at": endpoint.created_at,
    }
