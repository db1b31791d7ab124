"""Attempts at real receivers, well and ill behaved: each has its word, its time and its bound on bytes."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import standardwebhooks
import structlog
from aiohttp.abc import ResolveResult

from pipeline import __version__
from pipeline.dispatcher.deliver import MAX_ANSWER_BYTES, Deliver, open_deliverer
from pipeline.dispatcher.sign import shown
from pipeline.settings import WebhookSettings
from pipeline.state.records import Answer, Outcome
from tests.support.attempts import ED25519_KEY, HMAC_KEY, pending
from tests.support.certificates import Authority, make_authority
from tests.support.hostile_http import Script, drip, endless, hostile_server, raw
from tests.support.lookups import answers
from tests.support.webhooks import (
    Answering,
    dripping,
    large,
    later,
    receiver,
    redirect,
    reset,
    status,
    throttled,
    wrong_length,
)

pytestmark = pytest.mark.integration

SETTINGS = WebhookSettings(allow_http=True, allow_private_addresses=True)
IMPATIENT = SETTINGS.model_copy(update={"attempt_timeout_seconds": 0.3})
SECONDS_ALLOWED = 5.0
"""Far above the deadline of an impatient attempt, far below any other: machines that test are busy."""
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def deliver() -> AsyncIterator[Deliver]:
    async with open_deliverer(SETTINGS) as deliver:
        yield deliver


async def answered(*scripts: Answering, settings: WebhookSettings = SETTINGS) -> Answer:
    async with receiver(*scripts) as at, open_deliverer(settings) as deliver:
        return await deliver(pending(at.url()), [HMAC_KEY])


async def hostile(script: Script, settings: WebhookSettings = SETTINGS) -> Answer:
    async with hostile_server(script) as server, open_deliverer(settings) as deliver:
        return await deliver(pending(server.url()), [HMAC_KEY])


async def test_delivery_arrives_signed_and_byte_for_byte(deliver: Deliver) -> None:
    body = '{"type":"upscale.completed","data":{"label":"größer \\u0000 "}}\n'.encode()
    async with receiver(status(200)) as at:
        answer = await deliver(pending(at.url("/hook/a%2Fb?x=1&y=%C3%A9"), body=body), [HMAC_KEY, ED25519_KEY])

    call = at.calls[0]
    assert (answer.outcome, answer.status) == (Outcome.DELIVERED, 200)
    assert (call.path, call.body) == ("/hook/a%2Fb?x=1&y=%C3%A9", body)
    standardwebhooks.Webhook(shown(HMAC_KEY)).verify(call.body, dict(call.headers))
    assert [each.partition(",")[0] for each in call.headers["webhook-signature"].split(" ")] == ["v1", "v1a"]


async def test_request_has_these_headers_and_no_others(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine, and nothing of what a receiver set before."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    body = b"{}"
    async with receiver(status(200, headers={"Set-Cookie": "a=b", "Connection": "close"})) as at:
        for _ in range(2):
            await deliver(pending(at.url(), body=body), [HMAC_KEY])

    told = dict(at.calls[1].headers)
    assert told.pop("webhook-signature").startswith("v1,")
    assert abs(int(told.pop("webhook-timestamp")) - time.time()) < 60
    assert told == {
        "Host": f"127.0.0.1:{at.port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": f"upscale/{__version__}",
        "Accept-Encoding": "identity",
        "Accept": "*/*",
        "webhook-id": "msg_1",
    }


async def test_timestamp_is_that_of_the_attempt() -> None:
    async with receiver(status(200)) as at, open_deliverer(SETTINGS, now=lambda: 1_614_265_330.9) as deliver:
        answer = await deliver(pending(at.url()), [HMAC_KEY])

    assert at.calls[0].headers["webhook-timestamp"] == "1614265330"
    assert answer.started_at == 1_614_265_330.9


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (300, Outcome.REDIRECTED),
        (304, Outcome.REDIRECTED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.THROTTLED),
        (499, Outcome.REFUSED),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
        (599, Outcome.UNAVAILABLE),
        (600, Outcome.REFUSED),
        (999, Outcome.REFUSED),
    ],
)
async def test_status_has_its_word(code: int, outcome: Outcome) -> None:
    answer = await answered(status(code))
    assert (answer.outcome, answer.status) == (outcome, code)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(code: int, deliver: Deliver) -> None:
    async with receiver(status(200)) as target, receiver(redirect(target.url(), code)) as at:
        answer = await deliver(pending(at.url()), [HMAC_KEY])

    assert (answer.outcome, answer.status) == (Outcome.REDIRECTED, code)
    assert (len(at.calls), len(target.calls)) == (1, 0)


@pytest.mark.parametrize("code", [429, 503, 500, 404])
async def test_receiver_that_says_when_to_come_back_is_heard(code: int) -> None:
    assert (await answered(throttled("120", code))).retry_after == 120
    assert (await answered(status(code))).retry_after is None


async def test_date_to_come_back_at_is_one_of_the_receivers_clock() -> None:
    """A clock that is hours off does not make us come back at once, or tomorrow."""
    headers = {"Retry-After": "Wed, 21 Oct 2026 07:30:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert (await answered(status(503, headers=headers))).retry_after == 120


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drip(b""), id="silence"),
        pytest.param(drip(OK, b"x"), id="dripping header"),
        pytest.param(drip(OK + b"\r\n", b"x"), id="dripping body"),
        pytest.param(drip(OK + b"Content-Length: 9\r\n\r\n"), id="no body"),
        pytest.param(endless(b"", b"HTTP/1.1 103 Early\r\n\r\n"), id="hints without end"),
    ],
)
async def test_answer_that_is_not_whole_by_the_deadline_is_a_timeout(script: Script) -> None:
    """One deadline over all of it: nothing that trickles in puts it off."""
    answer = await hostile(script, IMPATIENT)
    assert answer.outcome is Outcome.TIMEOUT
    assert IMPATIENT.attempt_timeout_seconds <= answer.seconds < SECONDS_ALLOWED


async def test_slow_answer_within_the_deadline_counts() -> None:
    answer = await answered(later(0.05, status(200)))
    assert answer.outcome is Outcome.DELIVERED
    assert answer.seconds >= 0.05


async def test_status_of_an_answer_that_drips_is_told_beside_the_timeout() -> None:
    answer = await answered(dripping(503), settings=IMPATIENT)
    assert (answer.outcome, answer.status) == (Outcome.TIMEOUT, 503)


async def test_deadline_covers_looking_up_the_name() -> None:
    let_go = threading.Event()

    def hanging(_name: str, _port: int) -> list[ResolveResult]:
        let_go.wait(SECONDS_ALLOWED)
        return []

    async with open_deliverer(IMPATIENT, lookup=hanging) as deliver:
        answer = await deliver(pending("https://hooks.example/"), [HMAC_KEY])
        let_go.set()
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.seconds < SECONDS_ALLOWED


async def test_deadline_covers_the_handshake() -> None:
    """A receiver that takes the connection and says nothing to our hello."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with open_deliverer(IMPATIENT) as deliver:
            answer = await deliver(pending(f"https://127.0.0.1:{silent.getsockname()[1]}/"), [HMAC_KEY])
    assert answer.outcome is Outcome.TIMEOUT


async def test_receiver_that_takes_no_connection_in_time_is_unreachable() -> None:
    settings = SETTINGS.model_copy(update={"connect_timeout_seconds": 0.2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with open_deliverer(settings) as deliver:
            answer = await deliver(pending(f"https://127.0.0.1:{silent.getsockname()[1]}/"), [HMAC_KEY])
    assert answer.outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize(("code", "outcome"), [(200, Outcome.OVERSIZED), (500, Outcome.UNAVAILABLE)])
async def test_answer_of_ten_megabytes_is_cut_off_and_no_success(code: int, outcome: Outcome) -> None:
    """Only what the kernel's buffers hold is taken."""
    async with receiver(large(10_000_000, code)) as at, open_deliverer(SETTINGS) as deliver:
        answer = await deliver(pending(at.url()), [HMAC_KEY])

    assert answer.outcome is outcome
    assert at.sent_bytes < 2_000_000


async def test_answer_without_end_costs_no_more_memory_than_the_limit() -> None:
    answer = await hostile(endless(OK + b"\r\n", b"x" * 65_536), IMPATIENT)
    assert (answer.outcome, answer.status) == (Outcome.OVERSIZED, 200)
    assert answer.seconds < SECONDS_ALLOWED


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param(raw(OK + b"Content-Length: 300\r\n\r\nshort"), Outcome.PROTOCOL, id="short body"),
        pytest.param(raw(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), Outcome.PROTOCOL, id="short chunks"),
        pytest.param(raw(OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n"), Outcome.PROTOCOL, id="malformed chunk"),
        pytest.param(raw(OK + b"Content-Length: 3\r\n\r\nlonger"), Outcome.PROTOCOL, id="more than announced"),
        pytest.param(raw(OK + b"Content-Length: -3\r\n\r\nabc"), Outcome.PROTOCOL, id="negative length"),
        pytest.param(
            raw(OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), Outcome.PROTOCOL, id="two lengths"
        ),
        pytest.param(raw(b"220 mail.example ESMTP\r\n"), Outcome.PROTOCOL, id="mail server"),
        pytest.param(raw(OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n"), Outcome.PROTOCOL, id="huge header"),
        pytest.param(raw(OK + b"X: a\r\n" * 5_000 + b"\r\n"), Outcome.PROTOCOL, id="5,000 headers"),
        pytest.param(raw(b""), Outcome.UNREACHABLE, id="closed without a word"),
        pytest.param(raw(b"HTTP/1.1 103 Early\r\n\r\n" * 2_000), Outcome.UNREACHABLE, id="2,000 hints"),
    ],
)
async def test_answer_that_is_none_has_its_word(script: Script, outcome: Outcome) -> None:
    answer = await hostile(script)
    assert answer.outcome is outcome
    assert answer.seconds < SECONDS_ALLOWED


@pytest.mark.parametrize(("script", "outcome"), [(reset(), Outcome.UNREACHABLE), (wrong_length(), Outcome.PROTOCOL)])
async def test_answer_that_breaks_off_is_asked_for_once(script: Answering, outcome: Outcome, deliver: Deliver) -> None:
    """Trying again is the schedule's business."""
    async with receiver(script) as at:
        answer = await deliver(pending(at.url()), [HMAC_KEY])
    assert answer.outcome is outcome
    assert len(at.calls) == 1


async def test_receiver_that_does_not_listen_is_unreachable(deliver: Deliver) -> None:
    async with receiver(status(200)) as at:
        url = at.url()
    assert (await deliver(pending(url), [HMAC_KEY])).outcome is Outcome.UNREACHABLE


async def test_small_answer_leaves_the_connection_for_the_next_delivery(deliver: Deliver) -> None:
    async with receiver(status(200, body=b"ok"), status(500, body=b"no"), status(204)) as at:
        for _ in range(3):
            await deliver(pending(at.url()), [HMAC_KEY])
    assert len({call.peer for call in at.calls}) == 1


async def test_answer_that_was_cut_off_takes_its_connection_along(deliver: Deliver) -> None:
    """The rest of it would be read as the answer to the next delivery."""
    async with receiver(large(100 * MAX_ANSWER_BYTES), status(204)) as at:
        outcomes = [(await deliver(pending(at.url()), [HMAC_KEY])).outcome for _ in range(2)]
    assert outcomes == [Outcome.OVERSIZED, Outcome.DELIVERED]
    assert len({call.peer for call in at.calls}) == 2


async def test_kept_connection_that_ends_as_it_is_used_again_is_no_failure(deliver: Deliver) -> None:
    """Receivers close idle connections when they like; the delivery goes on over a new one."""
    connections = 0

    async def once_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b'completed"}')
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")
        await reader.readuntil(b'completed"}')
        writer.close()

    server = await asyncio.start_server(once_each, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        outcomes = [(await deliver(pending(url), [HMAC_KEY])).outcome for _ in range(2)]
    assert outcomes == [Outcome.DELIVERED, Outcome.DELIVERED]
    assert connections == 2


async def test_delivery_over_tls_arrives_when_the_authority_is_trusted(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    settings = SETTINGS.model_copy(update={"ssl_ca_file": authority.file})
    tls = authority.server("good", "DNS:hooks.example")
    async with receiver(status(200), tls=tls) as at, open_deliverer(settings, lookup=answers("127.0.0.1")) as deliver:
        answer = await deliver(pending(at.url(host="hooks.example")), [HMAC_KEY])
    assert answer.outcome is Outcome.DELIVERED


@pytest.mark.parametrize("fault", ["another host", "expired", "another authority"])
async def test_receiver_that_does_not_prove_its_identity_hears_nothing(tmp_path: Path, fault: str) -> None:
    authority, stranger = (_authority(tmp_path / name) for name in ("ours", "theirs"))
    if fault == "another host":
        tls = authority.server("other", "DNS:other.example")
    elif fault == "expired":
        tls = authority.server("expired", "IP:127.0.0.1", end="20210101000000Z")
    else:
        tls = stranger.server("unknown", "IP:127.0.0.1")
    settings = SETTINGS.model_copy(update={"ssl_ca_file": authority.file})
    async with hostile_server(raw(OK), tls=tls) as at, open_deliverer(settings) as deliver:
        answer = await deliver(pending(at.url()), [HMAC_KEY])
    assert answer.outcome is Outcome.TLS
    assert at.requests == []


def _authority(folder: Path) -> Authority:
    folder.mkdir()
    return make_authority(folder)


async def test_receiver_that_does_not_speak_tls_hears_nothing(deliver: Deliver) -> None:
    async with hostile_server(raw(OK), greeting=b"220 mail.example ESMTP\r\n") as at:
        answer = await deliver(pending(f"https://127.0.0.1:{at.port}/"), [HMAC_KEY])
    assert answer.outcome is Outcome.TLS


async def test_whatever_the_client_trips_over_is_an_answer() -> None:
    """The one who delivers goes on; the log says what it was."""

    def broken(_name: str, _port: int) -> list[ResolveResult]:
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as lines:
        async with open_deliverer(SETTINGS, lookup=broken) as deliver:
            answer = await deliver(pending("https://hooks.example/"), [HMAC_KEY])
    assert answer.outcome is Outcome.PROTOCOL
    assert [line["event"] for line in lines] == ["attempt_crashed"]


async def test_attempt_that_is_called_off_ends_at_once(deliver: Deliver) -> None:
    async with receiver(later(60, status(200))) as at:
        attempt = asyncio.create_task(deliver(pending(at.url()), [HMAC_KEY]))
        await asyncio.wait_for(at.called.wait(), SECONDS_ALLOWED)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
