"""Sources through the front door: parsed, judged and fetched from a real store and a real server."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings
from pipeline.storage.client import Store
from pipeline.storage.fetch import Fetch, open_fetch
from pipeline.storage.objects import SourceBytes
from pipeline.storage.sources import SourcePolicy, parse
from pipeline.storage.transfer import upload
from schemas.failures import FailureCode
from tests.support.hostile_http import answer, hostile_server, silent, slowly
from tests.support.store import SHARED_BUCKET

pytestmark = pytest.mark.integration

SETTINGS = FetchSettings(allow_http=True, allow_private_addresses=True, max_bytes=2**20, concurrency=2)


@pytest.fixture
async def fetch(store: Store) -> AsyncIterator[Fetch]:
    async with open_fetch(store, SETTINGS) as fetch:
        yield fetch


async def fetched(fetch: Fetch, store: Store, source: str, tenant: str = "acme") -> SourceBytes:
    return await fetch(parse(source, tenant=tenant, policy=SourcePolicy.of(store.settings, SETTINGS)))


async def code_of(fetch: Fetch, store: Store, source: str) -> FailureCode:
    with pytest.raises(JobFailed) as failed:
        await fetched(fetch, store, source)
    return failed.value.code


async def put(store: Store, key: str, data: bytes, bucket: str | None = None) -> None:
    await store.s3.put_object(Bucket=bucket or store.settings.bucket, Key=key, Body=data)


async def test_object_arrives_with_its_digest(fetch: Fetch, store: Store) -> None:
    """Objects of our bucket and of a listed one are read, whatever their keys look like."""
    for key in ("uploads/acme/a b+c.png", "uploads/acme/ü%2F.png", "results/acme/j/x.png"):
        await put(store, key, key.encode())
        source = await fetched(fetch, store, f"s3://{store.settings.bucket}/{key}")
        assert (key.encode(), hashlib.sha256(key.encode()).hexdigest()) == (source.data, source.sha256)
    await put(store, "x.png", b"shared", SHARED_BUCKET)
    assert (await fetched(fetch, store, f"s3://{SHARED_BUCKET}/x.png")).data == b"shared"


async def test_upload_is_fetched_by_its_name_and_only_by_its_tenant(fetch: Fetch, store: Store) -> None:
    """What one tenant uploaded does not exist for another."""
    name = await upload(store, "acme", b"picture")

    assert (await fetched(fetch, store, f"upload:{name}")).data == b"picture"
    with pytest.raises(JobFailed) as failed:
        await fetched(fetch, store, f"upload:{name}", tenant="other")
    assert (failed.value.code, failed.value.details) == (FailureCode.SOURCE_STATUS, {"status": 404})
    assert failed.value.message == f"source: the object 'uploads/other/{name}' does not exist, got status 404"


@pytest.mark.parametrize(
    "key",
    [
        "results/other/j/secret.png",
        "uploads/other/secret.png",
        "uploads/acme/../results/other/j/secret.png",
        "results/acme/../other/j/secret.png",
        "results//other/j/secret.png",
        "/results/other/j/secret.png",
        "./results/other/j/secret.png",
        "results/other/j/secret.png/",
        "uploads/acme/%2e%2e/results/other/j/secret.png",
        "uploads/acme/..%2fresults/other/j/secret.png",
        "results%2fother/j/secret.png",
        "Results/other/j/secret.png",
        "results/acme%2f../other/j/secret.png",
    ],
)
async def test_no_spelling_of_a_key_reads_another_tenants_object(fetch: Fetch, store: Store, key: str) -> None:
    """The store itself is asked, since it is the store that might take a spelling for another key."""
    for owned in ("results/other/j/secret.png", "uploads/other/secret.png"):
        await put(store, owned, b"secret")

    assert await code_of(fetch, store, f"s3://{store.settings.bucket}/{key}") in (
        FailureCode.URL_BLOCKED,
        FailureCode.SOURCE_STATUS,
    )


async def test_object_over_the_limit_is_not_read(fetch: Fetch, store: Store) -> None:
    """The byte limit holds for objects as for downloads."""
    await put(store, "uploads/acme/large", b"x" * (2**20 + 1))
    source = f"s3://{store.settings.bucket}/uploads/acme/large"
    assert await code_of(fetch, store, source) is FailureCode.SOURCE_TOO_LARGE


async def test_missing_object_and_empty_object_fail_for_good(fetch: Fetch, store: Store) -> None:
    """Neither gets better by trying again."""
    await put(store, "uploads/acme/empty", b"")
    bucket = store.settings.bucket
    assert await code_of(fetch, store, f"s3://{bucket}/uploads/acme/missing") is FailureCode.SOURCE_STATUS
    assert await code_of(fetch, store, f"s3://{bucket}/uploads/acme/empty") is FailureCode.SOURCE_EMPTY


async def test_web_source_is_fetched_by_the_same_door(fetch: Fetch, store: Store) -> None:
    """`http` sources go through the vetted client."""
    async with hostile_server(answer(b"pixels")) as server:
        assert (await fetched(fetch, store, server.url())).data == b"pixels"


async def test_large_source_is_joined_whole(store: Store) -> None:
    """Tens of megabytes arrive byte for byte."""
    data = bytes(range(256)) * (32 * 2**12)
    settings = SETTINGS.model_copy(update={"max_bytes": len(data)})
    async with open_fetch(store, settings) as fetch, hostile_server(answer(data)) as server:
        source = await fetched(fetch, store, server.url())
    assert hashlib.sha256(data).hexdigest() == source.sha256
    assert data == source.data


async def test_waiting_for_a_place_does_not_use_up_the_time_of_a_source(store: Store) -> None:
    """Two silent servers hold both places until their deadline; the third source then has its own full time."""
    settings = SETTINGS.model_copy(update={"first_byte_timeout_seconds": 0.5, "connect_timeout_seconds": 0.5})
    async with (
        open_fetch(store, settings) as fetch,
        hostile_server(silent()) as slow,
        hostile_server(answer(b"pixels")) as good,
    ):
        sources = [slow.url(), slow.url(), good.url()]
        results = await asyncio.gather(*(fetched(fetch, store, url) for url in sources), return_exceptions=True)

    assert [type(result) for result in results] == [JobFailed, JobFailed, SourceBytes]


async def test_no_more_sources_are_read_at_a_time_than_allowed(store: Store) -> None:
    """Of six sources two are being read at any moment."""
    reading: list[int] = []
    peak = 0

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal peak
        reading.append(1)
        peak = max(peak, len(reading))
        await slowly(answer(b"pixels", headers=("Connection: close",)), 0.05)(reader, writer)
        reading.pop()

    async with open_fetch(store, SETTINGS) as fetch, hostile_server(watched) as server:
        await asyncio.gather(*(fetched(fetch, store, server.url()) for _ in range(6)))

    assert peak == SETTINGS.concurrency
