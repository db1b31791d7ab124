"""Servers that misbehave: each has its code, its time and its bound on memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings
from pipeline.storage.egress import open_egress
from pipeline.storage.urls import UrlPolicy
from pipeline.storage.web import RETRY_AFTER, check_status, fetch_web, redirect_target
from schemas.failures import FailureCode
from tests.support.certificates import Authority, make_authority
from tests.support.forbidden import FORBIDDEN, as_host
from tests.support.hostile_http import (
    Script,
    answer,
    drip,
    endless,
    hostile_server,
    raw,
    redirect,
    reset,
    silent,
    slowly,
)

SETTINGS = FetchSettings(
    allow_http=True,
    allow_private_addresses=True,
    max_bytes=200_000,
)
IMPATIENT = SETTINGS.model_copy(
    update={"connect_timeout_seconds": 0.2, "first_byte_timeout_seconds": 0.2, "total_timeout_seconds": 0.8}
)
OK = b"HTTP/1.1 200 OK\r\n"


def anyone(_address: str) -> None:
    return None


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
async def session(authority: Authority) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_egress(anyone, connect_timeout_seconds=5, ssl_ca_file=authority.file) as session:
        yield session


async def failure(session: aiohttp.ClientSession, *scripts: Script, settings: FetchSettings = SETTINGS) -> JobFailed:
    async with hostile_server(*scripts) as server:
        with pytest.raises(JobFailed) as failed:
            await fetch_web(session, server.url(), settings)
    return failed.value


async def test_source_arrives_with_its_digest(session: aiohttp.ClientSession) -> None:
    """The bytes are those that were sent, and the digest is theirs."""
    async with hostile_server(answer(b"abc")) as server:
        fetched = await fetch_web(session, server.url(), SETTINGS)

    assert fetched.data == b"abc"
    assert fetched.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


async def test_source_without_a_length_is_read_to_its_end(session: aiohttp.ClientSession) -> None:
    """A length need not be announced: the end of the connection is an end."""
    async with hostile_server(raw(OK + b"\r\n" + b"x" * 100_000)) as server:
        assert len((await fetch_web(session, server.url(), SETTINGS)).data) == 100_000


async def test_source_at_the_limit_is_taken_and_one_byte_more_is_not(session: aiohttp.ClientSession) -> None:
    """The limit itself is allowed; one more, announced or not, is `source_too_large` with both numbers."""
    over = b"x" * 200_001
    async with hostile_server(answer(over[:-1])) as server:
        assert len((await fetch_web(session, server.url(), SETTINGS)).data) == 200_000
    for script in (answer(over), raw(OK + b"\r\n" + over)):
        failed = await failure(session, script)
        assert failed.code is FailureCode.SOURCE_TOO_LARGE
        assert failed.details == {"limit": 200_000, "value": 200_001}


async def test_announced_size_over_the_limit_is_refused_before_the_body(session: aiohttp.ClientSession) -> None:
    """Nothing is read of what is declared too large."""
    failed = await failure(session, drip(OK + b"Content-Length: 99999999999\r\n\r\n"))
    assert failed.code is FailureCode.SOURCE_TOO_LARGE


async def test_endless_source_is_cut_off_at_the_limit(session: aiohttp.ClientSession) -> None:
    """A body without end costs no more memory than the limit and a little."""
    failed = await failure(session, endless(OK + b"\r\n", b"x" * 65_536))
    assert failed.code is FailureCode.SOURCE_TOO_LARGE
    assert int(str(failed.details["value"])) < 2 * SETTINGS.max_bytes


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param(answer(b""), FailureCode.SOURCE_EMPTY, id="no content"),
        pytest.param(raw(OK + b"Content-Length: 300\r\n\r\nshort"), FailureCode.SOURCE_TRUNCATED, id="short body"),
        pytest.param(
            raw(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), FailureCode.SOURCE_TRUNCATED, id="short chunks"
        ),
        pytest.param(
            reset(OK + b"Content-Length: 300\r\n\r\nshort"), FailureCode.SOURCE_TRUNCATED, id="reset in the body"
        ),
        pytest.param(
            raw(OK + b"Content-Length: 3\r\n\r\nlonger"), FailureCode.SOURCE_PROTOCOL_ERROR, id="more than announced"
        ),
        pytest.param(
            raw(OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
            FailureCode.SOURCE_PROTOCOL_ERROR,
            id="two lengths",
        ),
        pytest.param(
            raw(OK + b"Content-Length: -3\r\n\r\nabc"), FailureCode.SOURCE_PROTOCOL_ERROR, id="negative length"
        ),
        pytest.param(
            raw(OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            FailureCode.SOURCE_PROTOCOL_ERROR,
            id="length and chunks",
        ),
        pytest.param(
            raw(OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n"),
            FailureCode.SOURCE_PROTOCOL_ERROR,
            id="malformed chunk",
        ),
        pytest.param(raw(b"220 mail.example ESMTP\r\n"), FailureCode.SOURCE_PROTOCOL_ERROR, id="mail server"),
        pytest.param(
            raw(OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n"), FailureCode.SOURCE_PROTOCOL_ERROR, id="huge header"
        ),
        pytest.param(raw(OK + b"X: a\r\n" * 5_000 + b"\r\n"), FailureCode.SOURCE_PROTOCOL_ERROR, id="5,000 headers"),
        pytest.param(answer(b"", status=302), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to nowhere"),
        pytest.param(redirect("http://[::1/x"), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to a broken URL"),
        pytest.param(redirect("//h:99999/"), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to a huge port"),
        pytest.param(redirect("//h:abc/"), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to a port in words"),
        pytest.param(redirect("http://h:-1/"), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to a negative port"),
        pytest.param(redirect("http://[]@/"), FailureCode.SOURCE_PROTOCOL_ERROR, id="redirect to empty brackets"),
        pytest.param(reset(), FailureCode.SOURCE_UNREACHABLE, id="reset"),
        pytest.param(raw(b""), FailureCode.SOURCE_UNREACHABLE, id="closed without a word"),
        pytest.param(raw(b"HTTP/1.1 103 Early\r\n\r\n" * 2_000), FailureCode.SOURCE_UNREACHABLE, id="2,000 hints"),
        pytest.param(silent(), FailureCode.SOURCE_TIMEOUT, id="silence"),
        pytest.param(drip(OK, b"x"), FailureCode.SOURCE_TIMEOUT, id="dripping header"),
        pytest.param(drip(OK + b"\r\n", b"x"), FailureCode.SOURCE_TIMEOUT, id="dripping body"),
        pytest.param(
            answer(b"\x1f\x8b" * 9, headers=("Content-Encoding: gzip",)),
            FailureCode.SOURCE_ENCODING_UNSUPPORTED,
            id="gzip",
        ),
        pytest.param(
            endless(OK + b"Content-Encoding: br\r\n\r\n", b"\0" * 65_536),
            FailureCode.SOURCE_ENCODING_UNSUPPORTED,
            id="bomb",
        ),
        pytest.param(redirect("/again"), FailureCode.SOURCE_TOO_MANY_REDIRECTS, id="redirect loop"),
        pytest.param(redirect("file:///etc/passwd"), FailureCode.URL_SCHEME_NOT_ALLOWED, id="redirect to a file"),
        pytest.param(redirect("ftp://example.com/x"), FailureCode.URL_SCHEME_NOT_ALLOWED, id="redirect to ftp"),
        pytest.param(redirect("data:image/png,x"), FailureCode.URL_SCHEME_NOT_ALLOWED, id="redirect to data"),
        pytest.param(redirect("http://169.254.169.254/latest"), FailureCode.URL_BLOCKED, id="redirect to metadata"),
        pytest.param(redirect("http://user@example.com/x"), FailureCode.URL_BLOCKED, id="redirect with a user"),
    ],
)
async def test_misbehaving_server_gets_its_code(
    session: aiohttp.ClientSession, script: Script, code: FailureCode
) -> None:
    """Each way to misbehave ends under its code, in words without addresses or library names."""
    failed = await failure(session, script, settings=IMPATIENT if code is FailureCode.SOURCE_TIMEOUT else SETTINGS)

    assert failed.code is code
    assert failed.message.startswith("source: ")
    assert not any(word in failed.message.lower() for word in ("127.0.0.1", "aiohttp", "errno", "traceback"))


async def test_server_that_does_not_listen_is_unreachable(session: aiohttp.ClientSession) -> None:
    """A refused connection may be accepted later: it is worth another try."""
    async with hostile_server(answer()) as server:
        url = server.url()
    with pytest.raises(JobFailed) as failed:
        await fetch_web(session, url, SETTINGS)
    assert failed.value.code is FailureCode.SOURCE_UNREACHABLE
    assert failed.value.kind.retryable


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 451])
def test_status_that_will_not_change_fails_for_good(status: int) -> None:
    """The source's own refusal is final, and the caller learns the status."""
    with pytest.raises(JobFailed) as failed:
        check_status(status)
    assert (FailureCode.SOURCE_STATUS, {"status": status}) == (failed.value.code, failed.value.details)


@pytest.mark.parametrize(
    ("header", "told"),
    [("120", {RETRY_AFTER: 120}), (None, {}), ("", {}), ("-1", {}), ("Wed, 21 Oct 2026 07:28:00 GMT", {})],
)
def test_source_that_says_when_to_come_back_is_heard(header: str | None, told: dict[str, int]) -> None:
    """The retry schedule obeys it; what is not a number of seconds is not guessed at."""
    with pytest.raises(JobFailed) as failed:
        check_status(429, header)
    assert failed.value.details == {"status": 429, **told}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_status_that_may_change_is_worth_another_try(status: int) -> None:
    """Overload and outages of the source pass."""
    with pytest.raises(JobFailed) as failed:
        check_status(status)
    assert (FailureCode.SOURCE_UNAVAILABLE, {"status": status}) == (failed.value.code, failed.value.details)
    assert failed.value.kind.retryable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_followed(session: aiohttp.ClientSession, status: int) -> None:
    """Relative and absolute targets are followed."""
    async with hostile_server(redirect("moved?a=%2F", status), answer(b"moved")) as server:
        assert (await fetch_web(session, server.url("/a/b.png"), SETTINGS)).data == b"moved"
    assert server.requests[1].startswith(b"GET /a/moved?a=%2F HTTP/1.1")


async def test_redirects_up_to_the_limit_are_followed(session: aiohttp.ClientSession) -> None:
    """Three hops arrive and the fourth is one too many."""
    hops = [redirect("/x")] * 3
    async with hostile_server(*hops, answer(b"end")) as server:
        assert (await fetch_web(session, server.url(), SETTINGS)).data == b"end"
    failed = await failure(session, *hops, redirect("/x"), answer(b"end"))
    assert (failed.code, failed.details) == (FailureCode.SOURCE_TOO_MANY_REDIRECTS, {"limit": 3})


async def test_redirects_share_one_deadline(session: aiohttp.ClientSession) -> None:
    """Slow hops do not each get the whole time."""
    settings = SETTINGS.model_copy(update={"max_redirects": 10, "total_timeout_seconds": 0.3})

    async with hostile_server(slowly(redirect("/x"), 0.1)) as server:
        with pytest.raises(JobFailed) as failed:
            await fetch_web(session, server.url(), settings)
    assert failed.value.code is FailureCode.SOURCE_TIMEOUT


@pytest.mark.parametrize("address", FORBIDDEN)
def test_redirect_target_is_judged_by_the_policy(address: str) -> None:
    """No hop may lead to an inner address, whichever way it is written."""
    with pytest.raises(JobFailed) as failed:
        redirect_target(URL("https://example.com/"), f"//{as_host(address)}/x", UrlPolicy())
    assert failed.value.code is FailureCode.URL_BLOCKED


def test_redirect_from_https_to_http_is_refused() -> None:
    """What began protected does not go on in plain text, even where plain text may begin."""
    with pytest.raises(JobFailed) as failed:
        redirect_target(URL("https://example.com/"), "http://example.com/", UrlPolicy(schemes=("https", "http")))
    assert failed.value.code is FailureCode.URL_SCHEME_NOT_ALLOWED


def test_redirect_from_http_to_https_is_followed() -> None:
    """The other way is an improvement."""
    policy = UrlPolicy(schemes=("https", "http"))
    assert str(redirect_target(URL("http://a.example/"), "https://b.example/x", policy)) == "https://b.example/x"


async def test_source_over_tls_arrives_when_its_authority_is_trusted(
    session: aiohttp.ClientSession, authority: Authority
) -> None:
    """An operator's own authority is trusted once it is set."""
    tls = authority.server("good", "IP:127.0.0.1")
    async with hostile_server(answer(b"secret"), tls=tls) as server:
        assert (await fetch_web(session, server.url(), SETTINGS)).data == b"secret"


@pytest.mark.parametrize("fault", ["another host", "expired", "another authority"])
async def test_server_that_does_not_prove_its_identity_is_refused(
    session: aiohttp.ClientSession, authority: Authority, tmp_path: Path, fault: str
) -> None:
    """A certificate for another host, out of date or of an unknown authority ends it before anything is asked."""
    if fault == "another host":
        tls = authority.server("other", "DNS:other.example")
    elif fault == "expired":
        tls = authority.server("expired", "IP:127.0.0.1", end="20210101000000Z")
    else:
        tls = make_authority(tmp_path).server("unknown", "IP:127.0.0.1")
    async with hostile_server(answer(b"secret"), tls=tls) as server:
        with pytest.raises(JobFailed) as failed:
            await fetch_web(session, server.url(), SETTINGS)

    assert failed.value.code is FailureCode.SOURCE_TLS_ERROR
    assert server.requests == []


async def test_server_that_does_not_speak_tls_is_refused(session: aiohttp.ClientSession) -> None:
    """An https source at a plain server fails as TLS."""
    async with hostile_server(answer(), greeting=b"220 mail.example ESMTP\r\n") as server:
        with pytest.raises(JobFailed) as failed:
            await fetch_web(session, f"https://127.0.0.1:{server.port}/", SETTINGS)
    assert failed.value.code is FailureCode.SOURCE_TLS_ERROR
