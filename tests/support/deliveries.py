"""Builders of endpoints, deliveries and attempts, as plain values and in a database."""

from collections.abc import Iterable
from itertools import count

from pipeline.state.claims import Room, claim
from pipeline.state.database import Database
from pipeline.state.deliveries import plan
from pipeline.state.endpoints import NewEndpoint, register
from pipeline.state.recording import record
from pipeline.state.records import (
    Abandoned,
    Answer,
    Attempted,
    Delivered,
    Endpoint,
    EndpointKind,
    Health,
    NewDelivery,
    Next,
    Outcome,
    PendingDelivery,
    Reason,
    RetryAt,
)
from schemas.callbacks import DEFAULT_PAYLOAD, WebhookEvent

NOON = 1_800_000_000.0
"""Now, in tests."""
LEASE = 60.0
_NUMBERS = count()


def an_endpoint(
    name: str = "ep_1",
    *,
    kind: EndpointKind = EndpointKind.REGISTERED,
    host: str = "example.com",
    health: Health | None = None,
    disabled_at: float | None = None,
) -> Endpoint:
    """A registered endpoint that is well."""
    return Endpoint(
        id=name,
        tenant="acme",
        kind=kind,
        url=f"https://{host}/hook",
        host=host,
        events=None,
        payload=DEFAULT_PAYLOAD,
        created_at=NOON,
        disabled_at=disabled_at,
        health=health or Health(),
    )


def new_delivery(
    endpoint: Endpoint, name: str | None = None, *, created_at: float = NOON, once: bool = False
) -> NewDelivery:
    """A delivery to `endpoint` that is due when it is created."""
    name = name or f"delivery-{next(_NUMBERS)}"
    return NewDelivery(
        id=name,
        message_id=f"msg-{name}",
        endpoint_id=endpoint.id,
        tenant=endpoint.tenant,
        job_id="job",
        event=WebhookEvent.COMPLETED,
        url=f"{endpoint.url}?token=secret",
        body=b'{"type":"upscale.completed"}',
        created_at=created_at,
        due_at=created_at,
        once=once,
    )


def a_pending(endpoint: Endpoint, *, attempts: int = 0, earlier: int = 0) -> PendingDelivery:
    """A claimed delivery that no database knows."""
    new = new_delivery(endpoint)
    return PendingDelivery(
        new.id, new.message_id, endpoint, new.event, new.url, new.body, new.created_at, attempts, False, earlier
    )


def attempt(
    pending: PendingDelivery, outcome: Outcome = Outcome.DELIVERED, then: Next | None = None, *, at: float = NOON
) -> Attempted:
    """An attempt that took half a second from `at` on; a failed one is made again a minute later."""
    otherwise = Delivered() if outcome is Outcome.DELIVERED else RetryAt(at + 60)
    answer = Answer(outcome, 200 if outcome is Outcome.DELIVERED else None, None, at, 0.5)
    return Attempted(pending, answer, then or otherwise)


EXHAUSTED = Abandoned(Reason.EXHAUSTED)


def room(number: int = 1000, **given: object) -> Room:
    """Of a dispatcher that has nothing under way."""
    return Room(**{"number": number, "per_endpoint": 5, "per_host": 20, **given})  # type: ignore[arg-type]


async def registered(database: Database, tenant: str = "acme", host: str = "example.com") -> Endpoint:
    """A new endpoint in the database."""
    async with database.write() as connection:
        return await register(connection, NewEndpoint(tenant, f"https://{host}/hook"), NOON)


async def planned(database: Database, endpoint: Endpoint, number: int = 1, *, created_at: float = NOON) -> list[str]:
    """So many new deliveries in the database; their ids in order."""
    new = [new_delivery(endpoint, created_at=created_at) for _ in range(number)]
    async with database.write() as connection:
        await plan(connection, new)
    return [one.id for one in new]


async def claimed(database: Database, now: float = NOON, **given: object) -> tuple[PendingDelivery, ...]:
    """What a dispatcher gets."""
    async with database.write() as connection:
        return (await claim(connection, room(**given), now, LEASE)).deliveries  # type: ignore[arg-type]


async def recorded(database: Database, made: Iterable[Attempted], now: float = NOON + 1) -> tuple[Endpoint, ...]:
    """What it writes down, in a transaction of its own."""
    async with database.write() as connection:
        return await record(connection, list(made), now)
