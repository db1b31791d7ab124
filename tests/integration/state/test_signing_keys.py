"""Guarantees of pipeline.state.signing_keys, on SQLite and on PostgreSQL."""

import asyncio

import pytest
from sqlalchemy import func, select

from pipeline.state.database import Database
from pipeline.state.endpoints import origins
from pipeline.state.records import Endpoint, KeyKind, SigningKey
from pipeline.state.signing_keys import ROTATION_SECONDS, SECRET_BYTES, keys_of, owner_of, rotate
from pipeline.state.tables import signing_keys
from tests.support.deliveries import NOON, registered

pytestmark = pytest.mark.integration


async def keys_at(database: Database, endpoint: Endpoint, now: float) -> tuple[SigningKey, ...]:
    async with database.write() as connection:
        return (await keys_of(connection, [endpoint], now))[endpoint.id]


async def test_first_key_is_made_on_first_use_and_stays(database: Database) -> None:
    endpoint = await registered(database)
    (key,) = await keys_at(database, endpoint, NOON)
    assert (key.kind, len(key.secret), key.created_at, key.expires_at) == (KeyKind.HMAC, SECRET_BYTES, NOON, None)
    assert await keys_at(database, endpoint, NOON + 1e9) == (key,)


async def test_urls_of_requests_share_their_tenants_key_and_registered_endpoints_have_their_own(
    database: Database,
) -> None:
    one, other = await registered(database), await registered(database)
    async with database.write() as connection:
        wanted = [("acme", "https://a.example"), ("acme", "https://b.example"), ("rival", "https://a.example")]
        a, b, rivals = (await origins(connection, wanted, NOON)).values()
        found = await keys_of(connection, [one, other, a, b, rivals], NOON)
    assert found[a.id] == found[b.id]
    assert len({found[endpoint.id] for endpoint in (one, other, a, rivals)}) == 4
    assert all(len(keys) == 1 for keys in found.values())


async def test_first_key_is_the_same_for_all_who_ask_at_once(database: Database) -> None:
    """Each draws other bytes, and writes for the same endpoints in another order."""
    endpoints = [await registered(database) for _ in range(10)]

    async def ask(number: int) -> dict[str, tuple[SigningKey, ...]]:
        async with database.write() as connection:
            return await keys_of(connection, endpoints[number:] + endpoints[:number], NOON)

    async with asyncio.timeout(30):
        answers = await asyncio.gather(*map(ask, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert all(len(keys) == 1 for keys in answers[0].values())


async def test_rotated_key_signs_beside_the_old_one_for_a_day_and_then_alone(database: Database) -> None:
    endpoint = await registered(database)
    (old,) = await keys_at(database, endpoint, NOON)
    async with database.write() as connection:
        new = await rotate(connection, owner_of(endpoint), NOON + 10, kind=KeyKind.ED25519)
    last = NOON + 10 + ROTATION_SECONDS
    both = await keys_at(database, endpoint, last - 1)
    assert [(key.kind, key.secret) for key in both] == [(KeyKind.ED25519, new.secret), (old.kind, old.secret)]
    assert [key.expires_at for key in both] == [None, last]
    assert await keys_at(database, endpoint, last) == (new,)


async def test_leaked_key_signs_no_more_nor_do_those_before_it(database: Database) -> None:
    """What no longer signs is forgotten: nobody can steal it."""
    endpoint = await registered(database)
    owner = owner_of(endpoint)
    async with database.write() as connection:
        await rotate(connection, owner, NOON)
        new = await rotate(connection, owner, NOON + 1, rotation_seconds=0)
        kept = (await connection.execute(select(func.count()).select_from(signing_keys))).scalar_one()
    assert await keys_at(database, endpoint, NOON + 1) == (new,)
    assert kept == 1


async def test_rotation_touches_nobody_elses_keys(database: Database) -> None:
    endpoint, other = await registered(database), await registered(database)
    async with database.write() as connection:
        (origin,) = (await origins(connection, [("acme", "https://a.example")], NOON)).values()
        before = await keys_of(connection, [other, origin], NOON)
        await rotate(connection, owner_of(endpoint), NOON, rotation_seconds=0)
        assert await keys_of(connection, [other, origin], NOON) == before


async def test_keys_rotated_at_once_leave_one_that_lasts(database: Database) -> None:
    """The others sign along until the rotation is over."""
    endpoint = await registered(database)

    async def once(number: int) -> None:
        async with database.write() as connection:
            await rotate(connection, owner_of(endpoint), NOON + number)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(once(number))
    keys = await keys_at(database, endpoint, NOON + 10)
    assert len(keys) == 25
    assert [key.expires_at for key in keys].count(None) == 1
