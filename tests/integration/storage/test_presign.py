"""Guarantees of pipeline.storage.presign."""

from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from pipeline.errors import PipelineError
from pipeline.settings import StoreSettings
from pipeline.storage.client import connect
from pipeline.storage.presign import open_public_url

pytestmark = pytest.mark.integration

KEYS = ("results/acme/job-1/0.png", "results/ä b/+%20&?#/~'().png")


@pytest.mark.parametrize("key", KEYS)
async def test_address_is_read_by_whoever_has_it(store_settings: StoreSettings, key: str) -> None:
    """By a client that knows nothing of S3, whatever is in the key."""
    async with connect(store_settings) as store:
        await store.s3.put_object(Bucket=store_settings.bucket, Key=key, Body=b"a picture")
    async with open_public_url(store_settings, 60) as public_url:
        url = await public_url(f"s3://{store_settings.bucket}/{key}")
    async with aiohttp.ClientSession() as client:
        async with client.get(url_as_it_is(url)) as answer:
            assert (answer.status, await answer.read()) == (200, b"a picture")
        async with client.get(url_as_it_is(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))) as answer:
            assert answer.status == 403


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", None])
@pytest.mark.parametrize("key", KEYS)
async def test_address_is_the_one_that_the_library_would_give(endpoint: str | None, key: str) -> None:
    """For a store of one's own, and for AWS with its names of buckets in the host."""
    settings = StoreSettings(
        endpoint=endpoint, region="eu-central-1", access_key="a", secret_key=SecretStr("b"), bucket="pictures"
    )
    async with open_public_url(settings, 60) as public_url, connect(settings) as store:
        ours = await public_url(f"s3://pictures/{key}")
        theirs = await store.s3.generate_presigned_url(
            "get_object", Params={"Bucket": "pictures", "Key": key}, ExpiresIn=60
        )
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    # Signature and date differ when the second turns between the two.
    volatile = {"X-Amz-Signature", "X-Amz-Date"}
    assert {name: value for name, value in parse_qs(urlsplit(ours).query).items() if name not in volatile} == {
        name: value for name, value in parse_qs(urlsplit(theirs).query).items() if name not in volatile
    }


async def test_address_in_the_store_is_given_out_where_none_is_to_be_signed(store_settings: StoreSettings) -> None:
    async with open_public_url(store_settings, 0) as public_url:
        assert await public_url("s3://upscale/results/a") == "s3://upscale/results/a"


@pytest.mark.parametrize(
    "url",
    [
        "s3://payroll/2026/all.csv",
        "s3://payroll/results/a/b/c.png",
        "s3://upscale/uploads/acme/cat.png",
        "s3://upscale/results",
        "s3://upscale/results/../uploads/acme/cat.png",
        "s3://upscale/results//a",
        "s3://upscale",
        "https://example.com/results/a",
    ],
)
async def test_what_is_no_result_of_ours_is_not_signed(store_settings: StoreSettings, url: str) -> None:
    """Whatever an event says: our signature opens anything that our own keys may read."""
    async with open_public_url(store_settings, 60) as public_url:
        assert await public_url(url) == url


async def test_nothing_to_sign_with_is_told_with_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    async with open_public_url(StoreSettings(), 60) as public_url:
        with pytest.raises(PipelineError, match="UPSCALE_STORE__ACCESS_KEY"):
            await public_url("s3://upscale/results/a")


def url_as_it_is(text: str) -> URL:
    return URL(text, encoded=True)
