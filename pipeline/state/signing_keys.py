"""What deliveries are signed with: keys of a registered endpoint, or of a tenant for the URLs that its requests name.

Every function takes part in the caller's transaction; `Database.write()` begins one for those that change something.
"""

import secrets
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from functools import cache
from operator import itemgetter
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.state.database import Dialect, inserting
from pipeline.state.records import Endpoint, EndpointKind, KeyKind, SigningKey
from pipeline.state.tables import signing_keys as keys

ROTATION_SECONDS = 86_400.0
"""How long an old key signs beside the new one: Standard Webhooks' day."""
SECRET_BYTES = 32
"""Within Standard Webhooks' 24 to 64 for HMAC, and an ed25519 seed."""

Owner = tuple[str, str | None]
"""Tenant, and endpoint unless the key is the tenant's own."""
Draw = Callable[[int], bytes]

_FIRST_KEYS = UUID("c3e6f6a2-0b64-4d8e-9a3f-6f1f2f1d7a55")
_ROTATION = 0x6B657973
"""First half of PostgreSQL's advisory locks on an owner's keys: `keys` in ASCII."""


def owner_of(endpoint: Endpoint) -> Owner:
    """Whose keys sign for it."""
    return (endpoint.tenant, endpoint.id if endpoint.kind is EndpointKind.REGISTERED else None)


async def keys_of(
    connection: AsyncConnection, endpoints: Collection[Endpoint], now: float, draw: Draw = secrets.token_bytes
) -> dict[str, tuple[SigningKey, ...]]:
    """The keys of each endpoint by its id, newest first, none of them expired, at least one.

    Writes only when an owner has no key yet: then it gets one for HMAC, the same for all who ask at that moment.
    """
    found = await keys_of_owners(connection, {owner_of(endpoint) for endpoint in endpoints}, now, draw)
    return {endpoint.id: found[owner_of(endpoint)] for endpoint in endpoints}


async def rotate(
    connection: AsyncConnection,
    owner: Owner,
    now: float,
    *,
    kind: KeyKind = KeyKind.HMAC,
    rotation_seconds: float = ROTATION_SECONDS,
    draw: Draw = secrets.token_bytes,
) -> SigningKey:
    """A new key. Those before it sign along for `rotation_seconds` and are then forgotten; 0 is for a leaked one."""
    await _one_at_a_time(connection, owner)
    await keys_of_owners(connection, {owner}, now, draw)
    theirs, named = _theirs(), _named({owner})
    last = now + rotation_seconds
    lasting = or_(keys.c.expires_at.is_(None), keys.c.expires_at > last)
    await connection.execute(update(keys).where(theirs, lasting).values(expires_at=last), named)
    await connection.execute(delete(keys).where(theirs, keys.c.expires_at <= now), named)
    key = SigningKey(kind, draw(SECRET_BYTES), now)
    await connection.execute(insert(keys).values(_row(UUID(bytes=draw(16)), owner, key)))
    return key


async def _one_at_a_time(connection: AsyncConnection, owner: Owner) -> None:
    """Whoever rotates the owner's keys at the same moment waits here, and then sees our new key as an older one.

    Locks on the keys would not do: a new one has a place among them, and two would wait for each other crosswise.
    SQLite has one writer as it is.
    """
    if connection.dialect.name == Dialect.POSTGRESQL:
        name = func.hashtext(f"{owner[0]}\n{owner[1] or ''}")
        await connection.execute(select(func.pg_advisory_xact_lock(_ROTATION, name)))


async def keys_of_owners(
    connection: AsyncConnection, owners: AbstractSet[Owner], now: float, draw: Draw = secrets.token_bytes
) -> dict[Owner, tuple[SigningKey, ...]]:
    """As `keys_of`, by whose they are."""
    found = await _valid(connection, owners, now)
    if missing := owners - found.keys():
        first = [_row(_first_id(owner), owner, SigningKey(KeyKind.HMAC, draw(SECRET_BYTES), now)) for owner in missing]
        # In one order for everybody: two that insert the same ones crosswise would wait for each other.
        ordered = sorted(first, key=itemgetter("id"))
        await connection.execute(inserting(connection.dialect.name, keys).on_conflict_do_nothing(), ordered)
        found |= await _valid(connection, missing, now)
    return found


async def _valid(
    connection: AsyncConnection, owners: AbstractSet[Owner], now: float
) -> dict[Owner, tuple[SigningKey, ...]]:
    found: dict[Owner, tuple[SigningKey, ...]] = {}
    for row in await connection.execute(_newest(), {"now": now} | _named(owners)):
        key = SigningKey(KeyKind(row.kind), bytes(row.secret), row.created_at, row.expires_at)
        owner = (row.tenant, row.endpoint_id)
        found[owner] = (*found.get(owner, ()), key)
    return found


@cache
def _newest() -> Select[Any]:
    valid = or_(keys.c.expires_at.is_(None), keys.c.expires_at > bindparam("now"))
    return select(keys).where(_theirs(), valid).order_by(keys.c.created_at.desc(), keys.c.id)


def _theirs() -> ColumnElement[bool]:
    """Keys of the owners that `_named` names."""
    registered = keys.c.endpoint_id.in_(bindparam("registered", expanding=True))
    own = keys.c.tenant.in_(bindparam("own", expanding=True))
    return or_(registered, and_(keys.c.endpoint_id.is_(None), own))


def _named(owners: AbstractSet[Owner]) -> dict[str, Any]:
    return {
        "registered": [endpoint for _, endpoint in owners if endpoint is not None],
        "own": [tenant for tenant, endpoint in owners if endpoint is None],
    }


def _first_id(owner: Owner) -> UUID:
    """The owner's, so that of several who make its first key one does."""
    return uuid5(_FIRST_KEYS, f"{owner[0]}\n{owner[1] or ''}")


def _row(key_id: UUID, owner: Owner, key: SigningKey) -> dict[str, Any]:
    tenant, endpoint = owner
    return {
        "id": str(key_id),
        "tenant": tenant,
        "endpoint_id": endpoint,
        "kind": key.kind,
        "secret": key.secret,
        "created_at": key.created_at,
    }
