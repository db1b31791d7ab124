"""Guarantees of pipeline.state.endpoints, on SQLite and on PostgreSQL."""

import asyncio

import pytest

from pipeline.state.database import Database
from pipeline.state.endpoints import (
    NewEndpoint,
    Origin,
    disable,
    enable,
    find,
    listed,
    of_tenants,
    origin_id,
    origins,
    register,
)
from pipeline.state.records import Endpoint, EndpointKind
from schemas.callbacks import WebhookEvent
from tests.support.deliveries import NOON, registered

pytestmark = pytest.mark.integration
ORIGIN = ("acme", "https://Hooks.Example.com:8443")


async def test_registered_endpoint_is_found_as_it_was_registered(database: Database) -> None:
    wanted = NewEndpoint("acme", "https://Example.com/hook?a=1", (WebhookEvent.FAILED,), "replicate")
    async with database.write() as connection:
        made = await register(connection, wanted, NOON, draw=lambda count: b"\x07" * count)
    async with database.read() as connection:
        assert await find(connection, "ep_" + "07" * 16) == made
        assert await find(connection, "ep_none") is None
    assert (made.host, made.events, made.kind) == ("example.com", (WebhookEvent.FAILED,), EndpointKind.REGISTERED)


async def test_tenants_see_their_registered_endpoints_and_no_others(database: Database) -> None:
    """Disabled ones too: deliveries are kept for them."""
    ours, theirs = await registered(database), await registered(database, "other")
    second = await registered(database)
    async with database.write() as connection:
        await origins(connection, [ORIGIN], NOON)
        disabled = await disable(connection, ours.id, "owner", NOON)
        found = await of_tenants(connection, ["acme", "nobody"])
        everything = await listed(connection)
        of_other = await listed(connection, "other")
    assert found.keys() == {"acme"}
    assert set(found["acme"]) == {disabled, second}
    assert len(everything) == 4
    assert of_other == (theirs,)


async def test_origin_has_one_endpoint_however_often_and_by_whomever_it_is_asked_for(database: Database) -> None:
    """Eight at a time, in different orders; another tenant's is another one."""
    wanted = [ORIGIN, ("other", ORIGIN[1]), *(("acme", f"https://{number}.example") for number in range(20))]

    async def ask(number: int) -> dict[Origin, Endpoint]:
        async with database.write() as connection:
            return await origins(connection, wanted[number:] + wanted[:number], NOON + number)

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*map(ask, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert {origin: endpoint.id for origin, endpoint in answers[0].items()} == {one: origin_id(*one) for one in wanted}
    assert len({endpoint.id for endpoint in answers[0].values()}) == len(wanted)
    async with database.read() as connection:
        endpoint = await find(connection, origin_id(*ORIGIN))
        assert len(await listed(connection)) == len(wanted)
    assert endpoint is not None
    assert (endpoint.kind, endpoint.url, endpoint.host) == (EndpointKind.REQUEST, ORIGIN[1], "hooks.example.com")


async def test_endpoint_is_disabled_once_and_enabled_as_one_that_is_well(database: Database) -> None:
    """The first reason stays: a receiver that is gone and then disabled by its owner was gone."""
    endpoint = await registered(database)
    async with database.write() as connection:
        disabled = await disable(connection, endpoint.id, "gone", NOON)
        assert await disable(connection, endpoint.id, "owner", NOON + 1) is None
        assert await disable(connection, "ep_none", "owner", NOON) is None
        assert await find(connection, endpoint.id) == disabled
        assert await enable(connection, endpoint.id) == endpoint
        assert await enable(connection, "ep_none") is None
    assert disabled is not None
    assert (disabled.disabled_at, disabled.disabled_reason) == (NOON, "gone")
