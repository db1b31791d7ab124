"""The store answers 503, hangs, loses answers and damages what passes; what we have stored is right all the same."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.client import Store, connect
from pipeline.storage.fetch import fetch_object
from pipeline.storage.objects import StoredObject
from pipeline.storage.payload import payload_of_bytes
from pipeline.storage.put import Target, put_once
from pipeline.storage.store import find_result, store_result
from pipeline.storage.transfer import TransferFailed, download, upload
from schemas.failures import FailureCode
from tests.support.s3_faults import HEALTHY, FaultyStore, StoreBehaviour, StoreFault, faulty_store
from tests.support.store import SOURCE, Picture, fresh_bucket, make_identity

pytestmark = [pytest.mark.integration, pytest.mark.fault]
DATA = bytes(range(256)) * 64
IMPATIENT_SECONDS = 0.5


@asynccontextmanager
async def behind_faults(settings: StoreSettings) -> AsyncIterator[tuple[Store, FaultyStore]]:
    """A client that knows the store by the proxy's address, on a bucket of its own."""
    async with (
        fresh_bucket(settings) as direct,
        faulty_store(settings.endpoint or "") as proxy,
        connect(direct.settings.model_copy(update={"endpoint": proxy.url})) as store,
    ):
        yield store, proxy


def always(fault: StoreFault, *, times: int | None = None, methods: str = "PUT") -> StoreBehaviour:
    return StoreBehaviour({fault: 1.0}, methods=frozenset(methods.split()), times=times)


async def stored(store: Store) -> StoredObject:
    return await store_result(store, Picture(DATA), SOURCE, make_identity(), version="1")


async def content(store: Store, key: str) -> bytes:
    answer = await store.s3.get_object(Bucket=store.settings.bucket, Key=key)
    async with answer["Body"] as body:
        data: bytes = await body.read()
        return data


async def test_signed_requests_pass_unchanged_through_a_healthy_proxy(store_settings: StoreSettings) -> None:
    """Put, head, get and list, with a key whose characters are escaped in the path."""
    async with behind_faults(store_settings) as (store, proxy):
        target = Target("a folder/é+&?.png", "image/png", {"note": "kept"})
        assert await put_once(store, target, await payload_of_bytes(DATA))
        assert await content(store, target.key) == DATA
        head = await store.s3.head_object(Bucket=store.settings.bucket, Key=target.key)
        assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (
            len(DATA),
            "image/png",
            {"note": "kept"},
        )
        listed = await store.s3.list_objects_v2(Bucket=store.settings.bucket, Prefix="a folder/")
        assert [entry["Key"] for entry in listed["Contents"]] == [target.key]
        assert proxy.requests == {"PUT": 1, "GET": 2, "HEAD": 1}
        assert not proxy.hits


@pytest.mark.parametrize(
    "fault",
    [StoreFault.SLOW_DOWN, StoreFault.LOSE_ANSWER, StoreFault.CORRUPT_UP, StoreFault.FALSE_CHECKSUM],
    ids=lambda fault: fault.name.lower(),
)
async def test_result_is_stored_once_and_right_when_the_first_put_goes_wrong(
    store_settings: StoreSettings, fault: StoreFault
) -> None:
    """Whether the store never heard of it, did it and did not say so, or got or told something else."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(always(fault, times=1))
        result = await stored(store)
        assert (proxy.hits, proxy.requests["PUT"]) == ({fault: 1}, 2)
        assert result.sha256 == hashlib.sha256(DATA).hexdigest()
        assert await content(store, result.key) == DATA
        assert await find_result(store, make_identity()) == result


async def test_put_that_hangs_is_given_up_in_time_and_made_again(store_settings: StoreSettings) -> None:
    """The store's silence costs the read timeout, not the job."""
    impatient = store_settings.model_copy(update={"read_timeout_seconds": IMPATIENT_SECONDS})
    async with behind_faults(impatient) as (store, proxy):
        proxy.switch(always(StoreFault.HANG, times=1))
        result = await stored(store)
        assert await content(store, result.key) == DATA
        assert proxy.requests["PUT"] == 2


async def test_store_that_is_slowed_down_for_good_fails_the_job_by_name(store_settings: StoreSettings) -> None:
    """After as many tries as the settings say, and nothing is stored."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(always(StoreFault.SLOW_DOWN))
        with pytest.raises(JobFailed) as failed:
            await stored(store)
        assert failed.value.code == FailureCode.STORE_UNAVAILABLE
        assert proxy.hits == {StoreFault.SLOW_DOWN: store_settings.attempts}
        proxy.switch(HEALTHY)
        assert await find_result(store, make_identity()) is None


async def test_result_whose_answer_waits_can_be_found_meanwhile(store_settings: StoreSettings) -> None:
    """What a worker had stored and not heard of when it died, another worker finds."""
    async with behind_faults(store_settings) as (store, proxy):
        proxy.switch(always(StoreFault.HOLD_ANSWER))
        storing = asyncio.create_task(stored(store))
        await proxy.hit.wait()
        found = await find_result(store, make_identity())
        assert not storing.done()
        proxy.switch(HEALTHY)
        assert await storing == found


async def test_download_that_was_damaged_on_the_way_is_refused(store_settings: StoreSettings, tmp_path: Path) -> None:
    """No file appears under the result's name."""
    async with behind_faults(store_settings) as (store, proxy):
        result = await stored(store)
        proxy.switch(always(StoreFault.CORRUPT_DOWN, methods="GET"))
        with pytest.raises(TransferFailed):
            await download(store, result, tmp_path / "result.png")
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_faults_hit_the_share_of_requests_they_are_told_to_and_the_same_ones_again(
    store_settings: StoreSettings,
) -> None:
    """Equal seeds draw equal faults; requests outside the prefix are left alone."""

    async def codes(seed: int) -> list[bool]:
        async with (
            fresh_bucket(store_settings.model_copy(update={"attempts": 1})) as direct,
            faulty_store(store_settings.endpoint or "", seed=seed) as proxy,
            connect(direct.settings.model_copy(update={"endpoint": proxy.url})) as store,
        ):
            proxy.switch(
                StoreBehaviour({StoreFault.SLOW_DOWN: 0.5}, prefix=f"/{direct.settings.bucket}/results/"),
            )
            await upload(store, "acme", DATA)
            return [await _fails(find_result(store, make_identity(f"job-{number}"))) for number in range(20)]

    first, again, other = await codes(1), await codes(1), await codes(2)
    assert 0 < sum(first) < 20
    assert first == again != other


async def test_throttled_store_takes_the_time_that_its_rate_says(store_settings: StoreSettings) -> None:
    """16 KiB at 8 KiB a second take two seconds, up as well as down, in small pieces."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with (
        fresh_bucket(store_settings) as direct,
        faulty_store(store_settings.endpoint or "", sleep=sleep) as proxy,
        connect(direct.settings.model_copy(update={"endpoint": proxy.url})) as store,
    ):
        proxy.switch(StoreBehaviour(bytes_per_second=len(DATA) / 2))
        result = await stored(store)
        assert sum(waits) == pytest.approx(2.0, rel=0.1)
        waits.clear()
        source = await fetch_object(store, store.settings.bucket, result.key, FetchSettings())
        assert source.data == DATA
        assert sum(waits) == pytest.approx(2.0, rel=0.1)
        assert max(waits) <= 0.11


async def _fails(asking: Awaitable[object]) -> bool:
    try:
        await asking
    except JobFailed:
        return True
    return False
