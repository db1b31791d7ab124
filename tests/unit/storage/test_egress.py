"""The guard, hop by hop: what it lets pass is contacted, what it refuses sees no connection at all."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.abc import ResolveResult

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings
from pipeline.storage import egress
from pipeline.storage.egress import AddressRefused, Lookup, Vet, guarded_socket_factory, open_egress, system_lookup
from pipeline.storage.urls import NOT_PUBLIC
from pipeline.storage.web import fetch_web
from schemas.failures import FailureCode
from tests.support.connects import recorded_connects
from tests.support.forbidden import FORBIDDEN, as_host
from tests.support.hostile_http import HostileServer, answer, hostile_server, redirect
from tests.support.lookups import answers, only_loopback_one, strict

NAME = "pictures.example"


@asynccontextmanager
async def opened(lookup: Lookup, judge: Vet = strict) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_egress(judge, connect_timeout_seconds=1, lookup=lookup) as session:
        yield session


def settings_for(server: HostileServer) -> FetchSettings:
    return FetchSettings(allow_http=True, extra_ports=(server.port,), total_timeout_seconds=5)


async def failure(session: aiohttp.ClientSession, url: str, settings: FetchSettings) -> JobFailed:
    with pytest.raises(JobFailed) as failed:
        await fetch_web(session, url, settings)
    return failed.value


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_name_that_resolves_to_an_inner_address_is_refused_without_a_connection(address: str) -> None:
    """Wherever a name leads, no inner address is contacted, and the answer does not say why."""
    async with opened(answers(address)) as session:
        with recorded_connects() as connects:
            failed = await failure(session, f"https://{NAME}/x.png", FetchSettings())

    assert (FailureCode.URL_BLOCKED, f"source: {NOT_PUBLIC}") == (failed.code, failed.message)
    assert connects == []


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_one_inner_address_among_public_ones_refuses_the_name(address: str) -> None:
    """A mixed answer is an attack or a mistake: not even its public address is contacted."""
    async with opened(answers("93.184.216.34", address)) as session:
        with recorded_connects() as connects:
            failed = await failure(session, f"https://{NAME}/x.png", FetchSettings())

    assert failed.code is FailureCode.URL_BLOCKED
    assert connects == []


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_socket_is_not_made_for_an_inner_address(address: str) -> None:
    """The last guard judges what is really dialled: literals, cached answers, names that changed their answer."""
    async with opened(answers(), strict) as session:
        with recorded_connects() as connects, pytest.raises((aiohttp.ClientError, AddressRefused)) as refused:
            await session.get(f"http://{as_host(address)}/")

    assert isinstance(refused.value.__cause__, AddressRefused)
    assert connects == []


@pytest.mark.parametrize("location", [f"http://{as_host(address)}" for address in FORBIDDEN])
async def test_redirect_to_an_inner_address_is_not_followed(location: str) -> None:
    """Each hop is judged like a source of its own; the target sees no connection."""
    async with (
        hostile_server(redirect(f"{location}/x.png")) as server,
        opened(answers("127.0.0.1"), only_loopback_one) as session,
    ):
        with recorded_connects() as connects:
            failed = await failure(session, f"http://{NAME}:{server.port}/", settings_for(server))

    assert failed.code is FailureCode.URL_BLOCKED
    assert connects == ["127.0.0.1"]


async def test_redirect_to_a_name_with_an_inner_address_is_not_followed() -> None:
    """A hop to another name is resolved and judged again."""

    def lookup(name: str, port: int) -> list[ResolveResult]:
        return answers("127.0.0.1" if name == NAME else "10.0.0.1")(name, port)

    async with hostile_server(answer()) as target:
        location = f"http://other.example:{target.port}/x.png"
        async with hostile_server(redirect(location)) as server, opened(lookup, only_loopback_one) as session:
            settings = FetchSettings(allow_http=True, extra_ports=(server.port, target.port))
            failed = await failure(session, f"http://{NAME}:{server.port}/", settings)

    assert failed.code is FailureCode.URL_BLOCKED
    assert target.connections == 0


async def test_name_that_changes_its_answer_is_refused() -> None:
    """A name that was public when it was first looked up is judged again when it is dialled again."""
    addresses = iter(["127.0.0.1", "127.0.0.2"])

    def lookup(name: str, port: int) -> list[ResolveResult]:
        return answers(next(addresses))(name, port)

    close = answer(headers=("Connection: close",))
    async with hostile_server(close) as server, opened(lookup, only_loopback_one) as session:
        url = f"http://{NAME}:{server.port}/"
        await fetch_web(session, url, settings_for(server))
        assert isinstance(session.connector, aiohttp.TCPConnector)
        session.connector.clear_dns_cache()
        with recorded_connects() as connects:
            failed = await failure(session, url, settings_for(server))

    assert failed.code is FailureCode.URL_BLOCKED
    assert connects == []


@pytest.mark.parametrize("guard", [1, 2, 3])
async def test_each_guard_refuses_by_itself(guard: int) -> None:
    """The answer of the resolver, the socket about to connect and the connected peer are judged one after the other:
    any of them stops the request."""
    asked = 0

    def judge(_address: str) -> str | None:
        nonlocal asked
        asked += 1
        return "inner" if asked == guard else None

    async with hostile_server(answer()) as server, opened(answers("127.0.0.1"), judge) as session:
        failed = await failure(session, f"http://{NAME}:{server.port}/", settings_for(server))

    assert failed.code is FailureCode.URL_BLOCKED
    assert asked == guard


async def test_vetted_name_is_fetched() -> None:
    """What passes all guards is contacted: they can open as well as shut."""
    async with hostile_server(answer(b"pixels")) as server, opened(answers("127.0.0.1"), only_loopback_one) as session:
        fetched = await fetch_web(session, f"http://{NAME}:{server.port}/x.png", settings_for(server))

    assert fetched.data == b"pixels"
    assert b"Host: pictures.example" in server.requests[0]


async def test_request_carries_nothing_of_the_machine_or_of_earlier_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no cookie, no credentials: only what the source needs to be found."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    cookie = answer(headers=("Set-Cookie: a=b", "Connection: close"))
    async with hostile_server(cookie) as server, opened(answers("127.0.0.1"), only_loopback_one) as session:
        url = f"http://{NAME}:{server.port}/x.png"
        await fetch_web(session, url, settings_for(server))
        await fetch_web(session, url, settings_for(server))

    head = server.requests[1].lower()
    assert b"accept-encoding: identity" in head
    assert not any(header in head for header in (b"cookie", b"authorization", b"referer", b"gzip"))


@pytest.mark.parametrize("said", [socket.EAI_NONAME, socket.EAI_NODATA])
async def test_unknown_name_is_answered_like_an_inner_one(said: int) -> None:
    """Callers cannot tell a name that does not exist from one that leads inside, nor by its being tried again."""

    def unknown(_name: str, _port: int) -> list[ResolveResult]:
        raise socket.gaierror(said, "unknown")

    async with opened(unknown) as missing, opened(answers("10.0.0.1")) as inner, opened(answers()) as empty:
        failures = [await failure(session, f"https://{NAME}/", FetchSettings()) for session in (missing, inner, empty)]

    assert len({(failed.code, failed.message) for failed in failures}) == 1


async def test_name_server_that_is_away_is_worth_another_try() -> None:
    """A failure of the resolver is not the caller's fault. This is what glibc says of name servers that are silent,
    answer SERVFAIL or REFUSED, or are not configured."""

    def away(_name: str, _port: int) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async with opened(away) as session:
        failed = await failure(session, f"https://{NAME}/", FetchSettings())

    assert failed.code is FailureCode.SOURCE_UNREACHABLE
    assert failed.kind.retryable


async def test_long_answer_is_vetted_whole_and_used_in_part() -> None:
    """A bad address at the end of a long answer refuses it; of a good one the first few are used."""
    good = [f"93.184.216.{number}" for number in range(40)]
    found: Sequence[ResolveResult] = egress.vet_answers(answers(*good)(NAME, 443), strict)

    assert len(found) == egress.MAX_ANSWERS
    with pytest.raises(AddressRefused):
        egress.vet_answers(answers(*good, "10.0.0.1")(NAME, 443), strict)


def test_socket_factory_makes_what_was_asked_for() -> None:
    """Family, kind and protocol are those of the vetted address."""
    made = guarded_socket_factory(strict)((socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2606:4700::1", 443, 0, 0)))
    with made:
        assert (made.family, made.type) == (socket.AF_INET6, socket.SOCK_STREAM)


def test_system_lookup_resolves_the_name_of_this_machine() -> None:
    """The real resolver's answers have the form the guard reads."""
    assert {"127.0.0.1", "::1"} & {result["host"] for result in system_lookup("localhost", 80)}
