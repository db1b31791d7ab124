"""Stores that misbehave, played by a scripted server: tried again, told apart, and never believed blindly."""

import asyncio
import hashlib
import io
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from aiobotocore.client import AioBaseClient
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError, SSLError
from pydantic import SecretStr

from pipeline.errors import JobFailed, ServiceRefused, ServiceUnreachable
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.client import S3, Store, check, connect, ensure_bucket, explain
from pipeline.storage.fetch import fetch_object
from pipeline.storage.objects import StoredObject
from pipeline.storage.put import MAX_PARTS, part_length
from pipeline.storage.store import find_result, store_result
from pipeline.storage.transfer import download, upload
from schemas.failures import FailureCode, Fault
from schemas.options import OutputFormat
from tests.support.hostile_http import HostileServer, Script, answer, hostile_server, raw, reset, silent
from tests.support.store import SOURCE, Picture, make_identity

PICTURE = Picture(b"picture")
DIGEST = hashlib.sha256(b"picture")
CHECKSUM = b64encode(DIGEST.digest()).decode()
FACTS = (
    f"x-amz-meta-sha256: {'ab' * 32}",
    "x-amz-meta-width: 640",
    "x-amz-meta-height: 480",
    "x-amz-meta-format: png",
    "x-amz-meta-source-width: 160",
    "x-amz-meta-source-height: 120",
)

stored = answer(b"", headers=(f"x-amz-checksum-sha256: {CHECKSUM}", 'ETag: "x"'))
stored_without_checksum = answer(b"", headers=('ETag: "x"',))
removed = answer(b"", status=204)


def error(status: int, code: str) -> Script:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return answer(body.encode(), status=status)


def head(size: int, *headers: str) -> Script:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {size}", *headers)
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n")


@asynccontextmanager
async def scripted(*scripts: Script, **settings: object) -> AsyncIterator[tuple[Store, HostileServer]]:
    async with hostile_server(*scripts) as server:
        given = StoreSettings(
            endpoint=f"http://127.0.0.1:{server.port}",
            access_key="key",
            secret_key=SecretStr("hidden-value"),
            connect_timeout_seconds=0.5,
            read_timeout_seconds=0.5,
        ).model_copy(update=settings)
        async with connect(given) as store:
            yield store, server


async def outcome(*scripts: Script) -> tuple[JobFailed, HostileServer]:
    async with scripted(*scripts) as (store, server):
        with pytest.raises(JobFailed) as failed:
            await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    return failed.value, server


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(error(503, "SlowDown"), id="overload"),
        pytest.param(error(500, "InternalError"), id="error"),
        pytest.param(error(409, "ConditionalRequestConflict"), id="another writer at the same time"),
        pytest.param(error(400, "BadDigest"), id="damage on the way"),
        pytest.param(reset(), id="reset"),
        pytest.param(raw(b""), id="closed"),
        pytest.param(silent(), id="silence"),
    ],
)
async def test_passing_trouble_is_outlasted(trouble: Script) -> None:
    """The result is stored when the store recovers within the tries, and each try sends the whole body."""
    async with scripted(trouble, trouble, stored) as (store, server):
        result = await store_result(store, PICTURE, SOURCE, make_identity(), version="1")

    assert result.sha256 == DIGEST.hexdigest()
    assert server.bodies == [b"picture"] * 3


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(error(503, "SlowDown"), id="overload"),
        pytest.param(reset(), id="reset"),
        pytest.param(silent(), id="silence"),
    ],
)
async def test_lasting_trouble_fails_the_job_after_all_tries(trouble: Script) -> None:
    """The failure is ours, may be retried, and tells the caller nothing of our insides."""
    failed, server = await outcome(trouble)

    assert failed.code is FailureCode.STORE_UNAVAILABLE
    assert (failed.kind.fault, failed.kind.retryable) == (Fault.SYSTEM, True)
    assert len(server.requests) >= 3
    assert not any(word in failed.message for word in ("127.0.0.1", "boto", "upscale", "hidden-value", "SlowDown"))


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "InvalidAccessKeyId"])
async def test_refusal_is_not_tried_again(code: str) -> None:
    """What another try cannot change fails at once."""
    failed, server = await outcome(error(403, code))
    assert failed.code is FailureCode.STORE_UNAVAILABLE
    assert len(server.requests) == 1


async def test_answer_lost_after_storing_ends_with_our_own_object() -> None:
    """The repeat finds the key taken, by ourselves, and takes the facts from there."""
    async with scripted(reset(), error(412, "PreconditionFailed"), head(9, *FACTS)) as (store, server):
        result = await store_result(store, PICTURE, SOURCE, make_identity(), version="1")

    assert (result.sha256, result.size, result.width, result.height) == ("ab" * 32, 9, 640, 480)
    assert [request.split()[0] for request in server.requests] == [b"PUT", b"PUT", b"HEAD"]


async def test_put_is_conditional_and_carries_its_checksum_unsigned() -> None:
    """Never overwrites, is checked by the store, and is not hashed again for a signature."""
    async with scripted(stored) as (store, server):
        await store_result(store, PICTURE, SOURCE, make_identity(), version="1")

    request = server.requests[0].decode().lower()
    assert "if-none-match: *" in request
    assert f"x-amz-checksum-sha256: {CHECKSUM.lower()}" in request
    assert "x-amz-content-sha256: unsigned-payload" in request
    assert "aws-chunked" not in request
    assert request.startswith("put /upscale/results/acme/job-1/")


async def test_store_that_repeats_another_checksum_is_not_believed() -> None:
    """A damaged object is removed and written again, never announced."""
    wrong = answer(b"", headers=(f"x-amz-checksum-sha256: {'A' * 43}=",))
    async with scripted(wrong, removed, stored) as (store, server):
        result = await store_result(store, PICTURE, SOURCE, make_identity(), version="1")

    assert [request.split()[0] for request in server.requests] == [b"PUT", b"DELETE", b"PUT"]
    assert result.sha256 == DIGEST.hexdigest()


async def test_store_without_checksums_is_asked_for_the_size() -> None:
    """The size must be right at least; where it is not, the object is removed and written again."""
    async with scripted(stored_without_checksum, head(7)) as (store, server):
        await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    assert [request.split()[0] for request in server.requests] == [b"PUT", b"HEAD"]

    async with scripted(stored_without_checksum, head(6), removed, stored) as (store, server):
        await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    assert [request.split()[0] for request in server.requests] == [b"PUT", b"HEAD", b"DELETE", b"PUT"]


@pytest.mark.parametrize(
    "headers", [(), (*FACTS[:3], "x-amz-meta-format: bmp"), (*FACTS[2:], "x-amz-meta-width: wide")]
)
async def test_object_of_somebody_else_in_the_place_of_the_result_is_not_announced(headers: tuple[str, ...]) -> None:
    """Without our facts an object is not a result of ours."""
    failed, _ = await outcome(error(412, "PreconditionFailed"), head(9, *headers))
    assert failed.code is FailureCode.INTERNAL


async def test_result_removed_meanwhile_is_worth_another_try() -> None:
    """The key was taken and then free again: the job may run once more."""
    failed, _ = await outcome(error(412, "PreconditionFailed"), raw(b"HTTP/1.1 404 Not Found\r\n\r\n"))
    assert failed.kind.retryable


async def test_find_fails_when_the_store_is_away() -> None:
    """An outage is not taken for "there is no result"."""
    async with scripted(raw(b"HTTP/1.1 503 Slow\r\n\r\n")) as (store, _):
        with pytest.raises(JobFailed) as failed:
            await find_result(store, make_identity())
    assert failed.value.code is FailureCode.STORE_UNAVAILABLE


BEGUN = answer(
    b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
    headers=("Content-Type: application/xml",),
)
PART = answer(b"", headers=('ETag: "p"',))


async def test_upload_in_parts_whose_last_answer_is_lost_is_found_complete() -> None:
    """The repeat of the completion finds the upload gone: it was completed, and the object has the facts."""
    scripts = (BEGUN, PART, reset(), error(404, "NoSuchUpload"), removed, head(7, *FACTS), head(7, *FACTS))
    async with scripted(*scripts, multipart_threshold_bytes=1) as (store, server):
        result = await store_result(store, PICTURE, SOURCE, make_identity(), version="1")

    assert result.width == 640
    assert [request.split()[0] for request in server.requests] == [
        b"POST",
        b"PUT",
        *[b"POST"] * 2,
        b"DELETE",
        *[b"HEAD"] * 2,
    ]


async def test_upload_in_parts_that_is_gone_for_good_fails() -> None:
    """Somebody removed the upload: there is no object, and the job fails rather than announce one."""
    missing = raw(b"HTTP/1.1 404 Not Found\r\n\r\n")
    async with scripted(BEGUN, error(404, "NoSuchUpload"), removed, missing, multipart_threshold_bytes=1) as (store, _):
        with pytest.raises(JobFailed) as failed:
            await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    assert failed.value.code is FailureCode.STORE_UNAVAILABLE


async def test_failed_abort_does_not_hide_why_the_upload_failed() -> None:
    """The store refuses a part and then the abort: the job fails for the part."""
    scripts = (BEGUN, error(403, "AccessDenied"), error(400, "InvalidRequest"))
    async with scripted(*scripts, multipart_threshold_bytes=1) as (store, server):
        with pytest.raises(JobFailed) as failed:
            await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    assert "AccessDenied" in str(failed.value.__cause__)
    assert server.requests[-1].startswith(b"DELETE")


class SlowToAbort:
    """An S3 client whose parts never arrive and whose abort takes its time."""

    def __init__(self) -> None:
        self.sending, self.aborting, self.may_finish, self.aborted = (asyncio.Event() for _ in range(4))

    async def create_multipart_upload(self, **_: object) -> dict[str, str]:
        return {"UploadId": "u1"}

    async def upload_part(self, **_: object) -> None:
        self.sending.set()
        await asyncio.get_running_loop().create_future()

    async def abort_multipart_upload(self, **_: object) -> None:
        self.aborting.set()
        await self.may_finish.wait()
        self.aborted.set()


async def test_abort_of_an_upload_outlives_a_second_cancellation() -> None:
    """A shutdown that loses its patience does not leave parts behind either."""
    client = SlowToAbort()
    store = Store(cast(S3, client), StoreSettings(multipart_threshold_bytes=1))
    task = asyncio.create_task(store_result(store, PICTURE, SOURCE, make_identity(), version="1"))
    await client.sending.wait()
    task.cancel()
    await client.aborting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    client.may_finish.set()
    await asyncio.wait_for(client.aborted.wait(), 5)


@pytest.mark.parametrize("size", [1, 10**6, 5 * 10**10, 5 * 10**12])
def test_parts_are_never_too_many(size: int) -> None:
    """Any size fits into the number of parts that S3 allows."""
    length = part_length(size, 8 * 2**20)
    assert length >= 8 * 2**20
    assert -(-size // length) <= MAX_PARTS


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (error(503, "SlowDown"), ServiceUnreachable, ("status 503", "UPSCALE_STORE__ENDPOINT")),
        (silent(), ServiceUnreachable, ("no answer within 0.5 s", "UPSCALE_STORE__ENDPOINT")),
        (reset(), ServiceUnreachable, ("breaks off", "UPSCALE_STORE__ENDPOINT")),
        (error(403, "AccessDenied"), ServiceRefused, ("s3:ListBucket", "UPSCALE_STORE__ACCESS_KEY")),
        (error(404, "NoSuchBucket"), ServiceRefused, ("no bucket 'upscale'", "UPSCALE_STORE__BUCKET")),
        (error(403, "SignatureDoesNotMatch"), ServiceRefused, ("secret key", "UPSCALE_STORE__SECRET_KEY")),
        (error(400, "AuthorizationHeaderMalformed"), ServiceRefused, ("Malformed", "UPSCALE_STORE__ENDPOINT")),
    ],
)
async def test_check_tells_the_operator_what_is_wrong_and_what_to_set(
    script: Script, kind: type[Exception], words: tuple[str, ...]
) -> None:
    """The message holds the address, the reason and the setting, and never the secret."""
    async with scripted(script) as (store, server):
        with pytest.raises(kind) as refused:
            await check(store)

    message = str(refused.value)
    assert all(word in message for word in (*words, f"127.0.0.1:{server.port}"))
    assert "hidden-value" not in message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectTimeoutError(endpoint_url="x"), "no connection within 5 s"),
        (ReadTimeoutError(endpoint_url="x"), "no answer within 30 s"),
        (SSLError(endpoint_url="x", error="secret"), "its certificate is not trusted"),
        (NoCredentialsError(), "no access key is set, and the AWS chain has none"),
    ],
)
def test_trouble_with_the_connection_is_told_apart(error: Exception, words: str) -> None:
    """The operator learns whether to look at the network, the server, the certificate or the settings."""
    message = str(explain(error, StoreSettings()))
    assert words in message
    assert "AWS, region us-east-1" in message


async def test_request_without_a_checksum_of_ours_gets_none_of_the_library() -> None:
    """Stores that do not know the newer chunked encoding of checksums can be written and read."""
    async with scripted(answer(b"")) as (store, server):
        await store.s3.put_object(Bucket="b", Key="k", Body=io.BytesIO(b"picture"))
        await store.s3.get_object(Bucket="b", Key="k")
    assert server.bodies[0] == b"picture"
    assert not any(b"x-amz-checksum" in request.lower() or b"aws-chunked" in request for request in server.requests)


async def test_unset_endpoint_means_aws_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of another program does not send our results elsewhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with connect(StoreSettings(region="eu-central-1")) as store:
        assert cast(AioBaseClient, store.s3).meta.endpoint_url == "https://s3.eu-central-1.amazonaws.com"


async def test_client_without_a_key_uses_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no key set, the usual AWS ways of finding one apply."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    async with scripted(stored, access_key=None, secret_key=None) as (store, server):
        await store_result(store, PICTURE, SOURCE, make_identity(), version="1")
    assert b"Credential=of-the-machine/" in server.requests[0]


@pytest.mark.parametrize("work", ["upload", "download"])
async def test_transfer_explains_a_store_that_is_away(work: str, tmp_path: Path) -> None:
    """Whoever runs a tool reads which service is away and where, and finds no half a file."""
    async with scripted(error(503, "SlowDown")) as (store, server):
        gone = StoredObject("upscale", "x", "00", 1, OutputFormat.PNG, 1, 1, SOURCE)
        job = upload(store, "acme", b"picture") if work == "upload" else download(store, gone, tmp_path / "x.png")
        with pytest.raises(ServiceUnreachable, match=str(server.port)):
            await job
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://store.invalid:9000", ("its name does not resolve", "store.invalid:9000")),
        ("nonsense", ("nonsense", "UPSCALE_STORE__ENDPOINT")),
    ],
)
async def test_endpoint_that_leads_nowhere_is_named(endpoint: str, words: tuple[str, ...]) -> None:
    """A misspelt endpoint is shown as it was given."""
    settings = StoreSettings(endpoint=endpoint, access_key="k", secret_key=SecretStr("s"))
    with pytest.raises((ServiceUnreachable, ServiceRefused)) as refused:
        async with connect(settings) as store:
            await check(store)
    assert all(word in str(refused.value) for word in words)


async def test_bucket_is_created_in_its_region() -> None:
    """Outside its first region AWS wants the place named."""
    created = answer(b"")
    async with scripted(error(404, "NoSuchBucket"), created, region="eu-central-1") as (store, server):
        await ensure_bucket(store)
    assert b"eu-central-1" in server.bodies[1]


@pytest.mark.parametrize("code", ["SlowDown", "AccessDenied"])
async def test_bucket_that_cannot_be_created_is_explained(code: str) -> None:
    """The reason the store gives reaches the operator."""
    denied = error(503 if code == "SlowDown" else 403, code)
    async with scripted(error(404, "NoSuchBucket"), denied) as (store, _):
        with pytest.raises((ServiceUnreachable, ServiceRefused)):
            await ensure_bucket(store)


async def test_bucket_is_not_created_when_something_else_is_wrong() -> None:
    """Wrong credentials are reported, not answered with a new bucket."""
    async with scripted(error(403, "InvalidAccessKeyId")) as (store, server):
        with pytest.raises(ServiceRefused):
            await ensure_bucket(store)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "code", "details"),
    [
        (error(404, "NoSuchKey"), FailureCode.SOURCE_STATUS, {"status": 404}),
        (error(404, "NoSuchBucket"), FailureCode.SOURCE_STATUS, {"status": 404}),
        (error(403, "AccessDenied"), FailureCode.SOURCE_STATUS, {"status": 403}),
        (error(400, "InvalidObjectState"), FailureCode.SOURCE_STATUS, {"status": 400}),
        (error(403, "InvalidAccessKeyId"), FailureCode.STORE_UNAVAILABLE, {}),
        (error(503, "SlowDown"), FailureCode.SOURCE_UNAVAILABLE, {}),
        (reset(), FailureCode.SOURCE_UNAVAILABLE, {}),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), FailureCode.SOURCE_UNAVAILABLE, {}),
        (answer(b""), FailureCode.SOURCE_EMPTY, {}),
        (answer(b"x" * 101), FailureCode.SOURCE_TOO_LARGE, {"limit": 100, "value": 101}),
        (silent(), FailureCode.SOURCE_TIMEOUT, {"limit_seconds": 0.1}),
    ],
)
async def test_object_that_cannot_be_read_gets_its_code(
    script: Script, code: FailureCode, details: dict[str, object]
) -> None:
    """Missing and forbidden objects are the caller's, outages are not, and our own credentials are never theirs."""
    patience = 0.1 if code is FailureCode.SOURCE_TIMEOUT else 5.0
    async with scripted(script) as (store, _):
        with pytest.raises(JobFailed) as failed:
            await fetch_object(store, "photos", "x", FetchSettings(max_bytes=100, total_timeout_seconds=patience))

    assert (code, details) == (failed.value.code, failed.value.details)
    assert not any(word in failed.value.message for word in ("127.0.0.1", "photos", "boto"))
