"""One attempt at a webhook: its address judged, its body signed, sent, and what came of that in one word.

An answer counts once it is whole, and nobody reads what it says. One that breaks off, drips beyond the deadline, lies
about its length or is longer than 16 KiB is a failed attempt whatever its status, for the receiver may have failed
after it had written that; a repeat carries the same `webhook-id` and does no harm.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial

import aiohttp
import structlog
from yarl import URL

from pipeline import __version__
from pipeline.dispatcher.retry_after import retry_after_seconds
from pipeline.dispatcher.sign import signature_headers
from pipeline.settings import WebhookSettings
from pipeline.state.records import Answer, Outcome, PendingDelivery, SigningKey
from pipeline.storage import addresses
from pipeline.storage.egress import AddressRefused, KeptConnectionLost, Lookup, Reuse, Vet, open_egress, system_lookup
from pipeline.storage.urls import UrlPolicy, UrlRefused, admit

log = structlog.get_logger(__name__)

Deliver = Callable[[PendingDelivery, Sequence[SigningKey]], Awaitable[Answer]]
"""Makes one attempt, signed with at least one key. Raises nothing but cancellation."""

MAX_ANSWER_BYTES = 16 * 2**10
MAX_URL_CHARS = 2048
KEEP_ALIVE_SECONDS = 5.0
"""What many servers grant; a busy endpoint's next delivery comes sooner, and idle connections are file descriptors."""
LOOKUP_THREADS = 32
"""More than one host may have attempts at a time, so that one with silent name servers does not hold up all others."""
_REMEMBERED = 4096
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"upscale/{__version__}"}


def url_policy(settings: WebhookSettings) -> UrlPolicy:
    """What URLs may be called."""
    return UrlPolicy(
        schemes=("https", "http") if settings.allow_http else ("https",),
        extra_ports=settings.extra_ports,
        allow_private=settings.allow_private_addresses,
        max_chars=MAX_URL_CHARS,
    )


@asynccontextmanager
async def open_deliverer(
    settings: WebhookSettings,
    *,
    lookup: Lookup = system_lookup,
    vet: Vet | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Deliver]:
    """What makes attempts, with connections of its own that it keeps for the next one.

    `vet` judges addresses in place of the table; `now` is in Unix seconds. How many attempts are under way at a time is
    the caller's business.
    """
    table = lru_cache(_REMEMBERED)(partial(addresses.vet, allow_private=settings.allow_private_addresses))
    async with open_egress(
        vet or table,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        lookup=lookup,
        ssl_ca_file=settings.ssl_ca_file,
        reuse=Reuse(KEEP_ALIVE_SECONDS, LOOKUP_THREADS),
    ) as session:
        yield _Deliverer(session, url_policy(settings), settings.attempt_timeout_seconds, now).deliver


@dataclass(slots=True)
class _Heard:
    """What is known of an attempt so far, and stays known when it fails."""

    status: int | None = None
    retry_after: float | None = None


class _Deliverer:
    def __init__(
        self, session: aiohttp.ClientSession, policy: UrlPolicy, timeout_seconds: float, now: Callable[[], float]
    ) -> None:
        self._session = session
        self._admit = lru_cache(_REMEMBERED)(partial(admit, policy=policy))
        self._timeout_seconds = timeout_seconds
        self._now = now

    async def deliver(self, delivery: PendingDelivery, keys: Sequence[SigningKey]) -> Answer:
        heard = _Heard()
        started_at, started = self._now(), time.monotonic()
        headers = _HEADERS | signature_headers(delivery.message_id, int(started_at), delivery.body, keys)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                outcome = await self._send(self._admit(delivery.url), delivery.body, headers, heard)
        except Exception as error:
            outcome = failure(error)
        return Answer(outcome, heard.status, heard.retry_after, started_at, time.monotonic() - started)

    async def _send(self, url: URL, body: bytes, headers: dict[str, str], heard: _Heard) -> Outcome:
        while True:
            # The message was most likely not read. Each turn uses up one such connection.
            with suppress(KeptConnectionLost):
                return await self._post(url, body, headers, heard)

    async def _post(self, url: URL, body: bytes, headers: dict[str, str], heard: _Heard) -> Outcome:
        response = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        try:
            heard.status = response.status
            heard.retry_after = retry_after_seconds(
                response.headers.get("Retry-After"), response.headers.get("Date"), self._now()
            )
            whole = await _read(response.content)
            outcome = outcome_of(response.status)
            return Outcome.OVERSIZED if outcome is Outcome.DELIVERED and not whole else outcome
        finally:
            response.close()  # without effect on an answer that has come whole: its connection is kept


async def _read(content: aiohttp.StreamReader) -> bool:
    """Whether that was all of it."""
    left = MAX_ANSWER_BYTES
    while left >= 0 and (chunk := await content.readany()):
        left -= len(chunk)
    return left >= 0


def outcome_of(status: int) -> Outcome:
    """What a whole answer with `status` means."""
    match status:
        case 410:
            return Outcome.GONE
        case 429:
            return Outcome.THROTTLED
    by_class = {2: Outcome.DELIVERED, 3: Outcome.REDIRECTED, 5: Outcome.UNAVAILABLE}
    return by_class.get(status // 100, Outcome.REFUSED)


def failure(error: Exception) -> Outcome:
    """What an attempt ended with that raised `error`."""
    match error:
        case UrlRefused():
            return Outcome.BLOCKED
        case aiohttp.ClientSSLError():
            return Outcome.TLS
        case aiohttp.ClientConnectionError():
            # The client wraps what our guard raised, because a connection that fails is an OSError to it.
            return Outcome.BLOCKED if isinstance(error.__cause__, AddressRefused) else Outcome.UNREACHABLE
        case TimeoutError():
            return Outcome.TIMEOUT
        case aiohttp.ClientError():
            return Outcome.PROTOCOL
    # Whatever a stranger can make the client trip over is an answer of his, not an end of ours.
    log.error("attempt_crashed", exc_info=error)
    return Outcome.PROTOCOL
