"""No webhook leads into the network: every forbidden address, in each way to name it, is refused without a connection.

Something really listens on all addresses of this machine, and both it and the interpreter count connects.
"""

import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from aiohttp.abc import ResolveResult

from pipeline.dispatcher.deliver import Deliver, open_deliverer
from pipeline.settings import WebhookSettings
from pipeline.state.records import Outcome
from pipeline.storage.egress import system_lookup
from tests.support.attempts import HMAC_KEY, pending
from tests.support.connects import Listener, listening_everywhere, recorded_connects
from tests.support.forbidden import FORBIDDEN, ODD_SPELLINGS, as_host
from tests.support.lookups import answers, only_loopback_one
from tests.support.webhooks import receiver, redirect, status

pytestmark = pytest.mark.integration

PUBLIC = "93.184.216.34"
SCHEMES = ("http", "https")


def settings_for(*ports: int) -> WebhookSettings:
    """Strict, but for the port of the test's listener."""
    return WebhookSettings(allow_http=True, extra_ports=ports, attempt_timeout_seconds=10)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening_everywhere() as listener:
        yield listener


async def not_blocked(deliver: Deliver, urls: Sequence[str]) -> list[str]:
    """Those of `urls` whose attempt was not refused."""
    return [url for url in urls if (await deliver(pending(url), [HMAC_KEY])).outcome is not Outcome.BLOCKED]


def names(port: int) -> list[str]:
    """A URL with a name of its own for each forbidden address."""
    return [f"{scheme}://f{at}.example:{port}/" for scheme in SCHEMES for at, _ in enumerate(FORBIDDEN)]


def forbidden_of(name: str) -> str:
    return FORBIDDEN[int(name.removeprefix("f").removesuffix(".example"))]


@pytest.fixture
async def strictly(listener: Listener) -> AsyncIterator[Deliver]:
    async with open_deliverer(settings_for(listener.port)) as deliver:
        yield deliver


async def test_listener_counts_who_connects(listener: Listener) -> None:
    """The tests below can fail: what is let pass is seen, by name and by literal, on inner addresses of both kinds."""
    settings = WebhookSettings(
        allow_http=True, allow_private_addresses=True, attempt_timeout_seconds=0.5, extra_ports=(listener.port,)
    )
    async with open_deliverer(settings, lookup=answers("127.0.0.2")) as deliver:
        with recorded_connects() as connects:
            hosts = ("hooks.example", "127.0.0.1", "[::1]")
            assert len(await not_blocked(deliver, [f"http://{host}:{listener.port}/" for host in hosts])) == 3
    assert connects == ["127.0.0.2", "127.0.0.1", "::1"]
    assert listener.connections() == 3


async def test_literal_of_a_forbidden_address_is_refused(strictly: Deliver, listener: Listener) -> None:
    urls = [f"{scheme}://{as_host(address)}:{listener.port}/" for scheme in SCHEMES for address in FORBIDDEN]
    with recorded_connects() as connects:
        assert await not_blocked(strictly, urls) == []
    assert (connects, listener.connections()) == ([], 0)


async def test_odd_spelling_of_an_inner_address_is_refused(listener: Listener) -> None:
    """They are not even looked up: this machine's resolver would lead several of them to the listener."""
    looked_up: list[str] = []

    def lookup(name: str, port: int) -> list[ResolveResult]:
        looked_up.append(name)
        return system_lookup(name, port)

    urls = [f"{scheme}://{host}:{listener.port}/" for scheme in SCHEMES for host in ODD_SPELLINGS]
    async with open_deliverer(settings_for(listener.port), lookup=lookup) as deliver:
        with recorded_connects() as connects:
            assert await not_blocked(deliver, urls) == []
    assert (connects, looked_up, listener.connections()) == ([], [], 0)


@pytest.mark.parametrize("around", [(), (PUBLIC,)], ids=["alone", "among public ones"])
@pytest.mark.parametrize("first", [True, False])
async def test_name_that_leads_to_a_forbidden_address_is_refused(
    listener: Listener, around: tuple[str, ...], first: bool
) -> None:
    """Wherever in the answer it stands: not even the public addresses beside it are contacted."""

    def lookup(name: str, port: int) -> list[ResolveResult]:
        forbidden = forbidden_of(name)
        return answers(*((forbidden, *around) if first else (*around, forbidden)))(name, port)

    async with open_deliverer(settings_for(listener.port), lookup=lookup) as deliver:
        with recorded_connects() as connects:
            assert await not_blocked(deliver, names(listener.port)) == []
    assert (connects, listener.connections()) == ([], 0)


async def test_name_that_changes_its_answer_is_refused(listener: Listener) -> None:
    """Public at the first look and inner at the second: a delivery that went well vouches for none after it."""
    seen: set[str] = set()

    def rebinding(name: str, port: int) -> list[ResolveResult]:
        address = forbidden_of(name) if name in seen else "127.0.0.1"
        seen.add(name)
        return answers(address)(name, port)

    async with (
        receiver(status(204)) as at,
        open_deliverer(settings_for(at.port, listener.port), lookup=rebinding, vet=only_loopback_one) as deliver,
    ):
        # The second look is at another port, since answers are remembered for a while by name and port.
        for number, forbidden in enumerate(FORBIDDEN):
            first = pending(f"http://f{number}.example:{at.port}/")
            assert (await deliver(first, [HMAC_KEY])).outcome is Outcome.DELIVERED
            if forbidden != "127.0.0.1":
                with recorded_connects() as connects:
                    assert await not_blocked(deliver, [f"http://f{number}.example:{listener.port}/"]) == []
                assert connects == []
    assert listener.connections() == 0


async def test_redirect_to_a_forbidden_address_is_not_followed(listener: Listener) -> None:
    targets = [f"http://{as_host(address)}:{listener.port}/" for address in FORBIDDEN]
    async with (
        receiver(*(redirect(target, 307) for target in targets)) as at,
        open_deliverer(settings_for(at.port), lookup=answers("127.0.0.1"), vet=only_loopback_one) as deliver,
    ):
        with recorded_connects() as connects:
            for _ in targets:
                answer = await deliver(pending(at.url(host="hooks.example")), [HMAC_KEY])
                assert answer.outcome is Outcome.REDIRECTED
    assert set(connects) == {"127.0.0.1"}
    assert listener.connections() == 0


@pytest.mark.parametrize("guard", [1, 2, 3])
async def test_each_guard_refuses_by_itself(guard: int) -> None:
    """The resolver's answer, the socket about to connect and the connected peer are judged one after the other."""
    asked = 0

    def judge(_address: str) -> str | None:
        nonlocal asked
        asked += 1
        return "inner" if asked == guard else None

    async with (
        receiver(status(204)) as at,
        open_deliverer(settings_for(at.port), lookup=answers("127.0.0.1"), vet=judge) as deliver,
    ):
        answer = await deliver(pending(at.url(host="hooks.example")), [HMAC_KEY])
    assert answer.outcome is Outcome.BLOCKED
    assert asked == guard


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "hooks.example",
        "https://user:pass@hooks.example/",
        "https://hooks.example:22/",
        "https://hooks.example/" + "a" * 2048,
        "https://hooks.example/\r\nX: y",
    ],
)
async def test_url_against_the_policy_is_not_even_looked_up(url: str) -> None:
    """What was written down once is judged again at each attempt: settings may have become stricter."""

    def unexpected(name: str, _port: int) -> list[ResolveResult]:
        pytest.fail(f"looked up {name}")

    async with open_deliverer(WebhookSettings(), lookup=unexpected) as deliver:
        assert await not_blocked(deliver, [url]) == []


async def test_plain_http_is_refused_unless_allowed() -> None:
    async with open_deliverer(WebhookSettings()) as deliver:
        assert await not_blocked(deliver, ["http://hooks.example/"]) == []


async def test_name_that_does_not_exist_is_answered_like_an_inner_one() -> None:
    """Whoever names URLs cannot find out which names an inner network knows."""

    def unknown(_name: str, _port: int) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with open_deliverer(WebhookSettings(), lookup=unknown) as deliver:
        assert await not_blocked(deliver, ["https://hooks.example/"]) == []
