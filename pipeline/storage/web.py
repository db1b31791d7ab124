"""`http` and `https` sources: redirects by hand, one deadline over all, and a code for every way to misbehave."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from yarl import URL

from pipeline.errors import Detail, JobFailed
from pipeline.settings import FetchSettings
from pipeline.storage.egress import AddressRefused
from pipeline.storage.gather import CHUNK_BYTES, gather, truncated
from pipeline.storage.objects import SourceBytes
from pipeline.storage.sources import url_policy
from pipeline.storage.urls import MALFORMED, NOT_PUBLIC, UrlPolicy, UrlRefused, admit
from schemas.failures import FailureCode

_REDIRECTS = (301, 302, 303, 307, 308)
RETRY_AFTER = "retry_after_seconds"
"""Detail of `source_unavailable`: how long the server asked us to stay away."""
_PASSING_STATUSES = (408, 425, 429)
"""Statuses under 500 that say: later."""


async def fetch_web(session: aiohttp.ClientSession, source: str, settings: FetchSettings) -> SourceBytes:
    """The bytes at `source`. `session` comes from `open_egress`. Raises `JobFailed` with one of the source codes."""
    policy = url_policy(settings)
    with deadline_as_failure(settings.total_timeout_seconds):
        async with asyncio.timeout(settings.total_timeout_seconds):
            url = _admit(source, policy)
            for _ in range(settings.max_redirects + 1):
                async with _get(session, url, settings) as response:
                    if response.status not in _REDIRECTS:
                        return await _read(response, settings)
                    url = redirect_target(url, response.headers.get("Location"), policy)
    raise JobFailed(
        FailureCode.SOURCE_TOO_MANY_REDIRECTS,
        f"source: at most {settings.max_redirects} redirects are followed",
        {"limit": settings.max_redirects},
    )


@asynccontextmanager
async def _get(
    session: aiohttp.ClientSession, url: URL, settings: FetchSettings
) -> AsyncIterator[aiohttp.ClientResponse]:
    patience = settings.connect_timeout_seconds + settings.first_byte_timeout_seconds
    with _errors_as_failures():
        with deadline_as_failure(patience):
            async with asyncio.timeout(patience):
                response = await session.get(url, allow_redirects=False)
        try:
            yield response
        finally:
            response.release()


async def _read(response: aiohttp.ClientResponse, settings: FetchSettings) -> SourceBytes:
    check_status(response.status, response.headers.get("Retry-After"))
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise JobFailed(
            FailureCode.SOURCE_ENCODING_UNSUPPORTED,
            f"source: it must be sent as it is, got Content-Encoding {encoding[:40]!r}",
        )
    chunks = response.content.iter_chunked(CHUNK_BYTES)
    with _body_errors_as_failures():
        return await gather(aiter(chunks), announced=response.content_length, limit=settings.max_bytes)


def check_status(status: int, retry_after: str | None = None) -> None:
    """Pass a 200; anything else is `source_status`, or `source_unavailable` where a later try may fare better.

    `retry_after` is the header of that name. Seconds are understood; a date would be one of the server's clock.
    """
    if status == 200:
        return
    passing = status >= 500 or status in _PASSING_STATUSES
    code = FailureCode.SOURCE_UNAVAILABLE if passing else FailureCode.SOURCE_STATUS
    details: dict[str, Detail] = {"status": status}
    if passing and retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        details[RETRY_AFTER] = int(retry_after[:9])
    raise JobFailed(code, f"source: its server must answer with status 200, got {status}", details)


def redirect_target(url: URL, location: str | None, policy: UrlPolicy) -> URL:
    """Where an answer sends us on from `url`; judged like a source of its own."""
    if not location:
        raise _protocol_error("a redirect without a target")
    try:
        target = url.join(URL(location, encoded=location.isascii()))
        text = str(target)  # A URL that is taken as encoded is looked into no earlier than here.
    except MALFORMED:
        raise _protocol_error("a redirect to a malformed URL") from None
    if url.scheme == "https" and target.scheme == "http":
        raise JobFailed(
            FailureCode.URL_SCHEME_NOT_ALLOWED, "source: it redirects from https to http, which is not followed"
        )
    return _admit(text, policy)


def _admit(text: str, policy: UrlPolicy) -> URL:
    try:
        return admit(text, policy)
    except UrlRefused as refused:
        raise JobFailed(refused.code, f"source: {refused.message}") from None


@contextmanager
def deadline_as_failure(seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise JobFailed(
            FailureCode.SOURCE_TIMEOUT,
            f"source: its server took longer than the {seconds:g} s allowed",
            {"limit_seconds": seconds},
        ) from None


@contextmanager
def _errors_as_failures() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise JobFailed(
            FailureCode.SOURCE_TLS_ERROR, "source: its server did not prove its identity over TLS"
        ) from error
    except aiohttp.ClientConnectionError as error:
        # The client wraps what our guard raised, because a connection that fails is an OSError to it.
        raise (_not_public() if isinstance(error.__cause__, AddressRefused) else _unreachable()) from error
    except aiohttp.ClientResponseError as error:
        raise _protocol_error("an answer that is not HTTP") from error


@contextmanager
def _body_errors_as_failures() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        raise truncated() from error


def _not_public() -> JobFailed:
    return JobFailed(FailureCode.URL_BLOCKED, f"source: {NOT_PUBLIC}")


def _unreachable() -> JobFailed:
    return JobFailed(FailureCode.SOURCE_UNREACHABLE, "source: no connection to its server could be made or kept")


def _protocol_error(what: str) -> JobFailed:
    return JobFailed(FailureCode.SOURCE_PROTOCOL_ERROR, f"source: its server sent {what}")
