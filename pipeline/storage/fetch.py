"""`SourceRef` to `SourceBytes`, within size and time limits, from the web or from the store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
from botocore.exceptions import IncompleteReadError

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings
from pipeline.storage.addresses import vet
from pipeline.storage.attempts import attempt
from pipeline.storage.client import Store
from pipeline.storage.egress import Lookup, open_egress, system_lookup
from pipeline.storage.gather import CHUNK_BYTES, gather
from pipeline.storage.objects import SourceBytes, SourceRef
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning, status
from pipeline.storage.web import deadline_as_failure, fetch_web
from schemas.failures import FailureCode

Fetch = Callable[[SourceRef], Awaitable[SourceBytes]]
"""Raises `JobFailed` with one of the source codes, or `store_unavailable` when our own credentials are at fault."""


@asynccontextmanager
async def open_fetch(store: Store, settings: FetchSettings, *, lookup: Lookup = system_lookup) -> AsyncIterator[Fetch]:
    """The fetcher of the process. At most `settings.concurrency` sources are read at a time; the others wait, and
    their time does not run yet."""
    places = asyncio.Semaphore(settings.concurrency)
    async with open_egress(
        partial(vet, allow_private=settings.allow_private_addresses),
        connect_timeout_seconds=settings.connect_timeout_seconds,
        lookup=lookup,
        ssl_ca_file=settings.ssl_ca_file,
    ) as session:

        async def fetch(ref: SourceRef) -> SourceBytes:
            async with places:
                return await _fetch(ref, session, store, settings)

        yield fetch


async def _fetch(ref: SourceRef, session: aiohttp.ClientSession, store: Store, settings: FetchSettings) -> SourceBytes:
    if ref.bucket is None or ref.key is None:
        return await fetch_web(session, ref.url, settings)
    return await fetch_object(store, ref.bucket, ref.key, settings)


async def fetch_object(store: Store, bucket: str, key: str, settings: FetchSettings) -> SourceBytes:
    """The bytes of an object that `parse` let pass. Raises `JobFailed`."""

    async def read() -> SourceBytes:
        answer = await store.s3.get_object(Bucket=bucket, Key=key)
        body = answer["Body"]
        async with body:
            return await gather(_chunks(body), announced=answer["ContentLength"], limit=settings.max_bytes)

    try:
        with deadline_as_failure(settings.total_timeout_seconds):
            async with asyncio.timeout(settings.total_timeout_seconds):
                return await attempt(read, store.settings)
    except STORE_ERRORS as error:
        raise explain_source(error, key) from error


def explain_source(error: Exception, key: str) -> JobFailed:
    """An error of the store while it was asked for the source at `key`, in the caller's words."""
    match meaning(error):
        case Meaning.PASSING if not isinstance(error, (IncompleteReadError, aiohttp.ClientPayloadError)):
            return JobFailed(FailureCode.STORE_UNAVAILABLE, "the object store does not answer")
        case Meaning.PASSING:
            return JobFailed(FailureCode.SOURCE_UNAVAILABLE, "source: the object store does not hand it out at present")
        case Meaning.CREDENTIALS | Meaning.CLOCK:
            return JobFailed(FailureCode.STORE_UNAVAILABLE, "the object store does not accept our credentials")
        case Meaning.FORBIDDEN:
            reason, code = "may not be read by this service", 403
        case Meaning.MISSING | Meaning.NO_BUCKET:
            reason, code = "does not exist", 404
        case _:
            reason, code = "is not handed out by the object store", status(error)
    told = f"source: the object {key!r} {reason}, got status {code}"
    return JobFailed(FailureCode.SOURCE_STATUS, told, {"status": code})


async def _chunks(body: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await body.read(CHUNK_BYTES):
        yield chunk
