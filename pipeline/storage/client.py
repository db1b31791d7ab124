"""One S3 client for the process, and the questions to ask of the store before work begins."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from aiohttp import ClientConnectorDNSError
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable
from pipeline.settings import StoreSettings
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning, status
from pipeline.variables import variable

SERVICE = "object store"


class S3(Protocol):
    """What we call of the S3 client; parameters and answers are those of the S3 API."""

    async def put_object(self, **parameters: Any) -> dict[str, Any]: ...
    async def get_object(self, **parameters: Any) -> dict[str, Any]: ...
    async def head_object(self, **parameters: Any) -> dict[str, Any]: ...
    async def delete_object(self, **parameters: Any) -> dict[str, Any]: ...
    async def list_objects_v2(self, **parameters: Any) -> dict[str, Any]: ...
    async def create_bucket(self, **parameters: Any) -> dict[str, Any]: ...
    async def create_multipart_upload(self, **parameters: Any) -> dict[str, Any]: ...
    async def upload_part(self, **parameters: Any) -> dict[str, Any]: ...
    async def complete_multipart_upload(self, **parameters: Any) -> dict[str, Any]: ...
    async def abort_multipart_upload(self, **parameters: Any) -> dict[str, Any]: ...
    async def generate_presigned_url(self, operation: str, **parameters: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Store:
    """The client and the settings it was made from."""

    s3: S3
    settings: StoreSettings


@asynccontextmanager
async def connect(settings: StoreSettings) -> AsyncIterator[Store]:
    """The client, ready to be shared by all tasks; nothing is contacted yet. Raises `ServiceRefused`."""
    try:
        client = session_of(settings).client(
            "s3",
            endpoint_url=settings.endpoint,
            config=client_config(settings),
            verify=str(settings.ssl_ca_file) if settings.ssl_ca_file else None,
        )
        s3 = await client.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise ServiceRefused(SERVICE, address(settings), _variable("endpoint"), str(error)) from error
    try:
        yield Store(s3, settings)
    finally:
        await client.__aexit__(None, None, None)


def client_config(settings: StoreSettings) -> AioConfig:
    """How the client behaves, whatever the machine's environment or AWS profile says."""
    return AioConfig(
        region_name=settings.region,
        # Addresses would otherwise be signed the old way, which newer regions refuse.
        signature_version="s3v4",
        connect_timeout=settings.connect_timeout_seconds,
        read_timeout=settings.read_timeout_seconds,
        max_pool_connections=settings.connections,
        # Tries are counted by us, so that the setting is the truth and every operation is retried alike.
        retries={"mode": "standard", "total_max_attempts": 1},
        # The body would otherwise be hashed on the event loop: 20 ms for 26 MB. Its SHA-256 travels as the checksum.
        s3={"payload_signing_enabled": False, "addressing_style": "path" if settings.endpoint else "auto"},
        # "when_supported" adds a CRC32 trailer in a chunked encoding that many S3-compatible stores do not know.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
        proxies={},
    )


async def check(store: Store) -> None:
    """Return when the bucket can be used. Raises `ServiceUnreachable` or `ServiceRefused`, for the operator."""
    try:
        await store.s3.list_objects_v2(Bucket=store.settings.bucket, MaxKeys=1)
    except STORE_ERRORS as error:
        raise explain(error, store.settings) from error


async def ensure_bucket(store: Store) -> None:
    """Create the bucket unless it is there. Raises as `check` does."""
    try:
        await check(store)
    except ServiceRefused as refused:
        if refused.setting != _variable("bucket"):
            raise
        await _create_bucket(store)


async def _create_bucket(store: Store) -> None:
    region = store.settings.region
    # AWS wants the place named everywhere but in its first region, where it refuses the name.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        await store.s3.create_bucket(Bucket=store.settings.bucket, **place)
    except STORE_ERRORS as error:
        raise explain(error, store.settings) from error


def address(settings: StoreSettings) -> str:
    """Where the store is, for a person."""
    return settings.endpoint or f"AWS, region {settings.region}"


def explain(error: Exception, settings: StoreSettings) -> PipelineError:
    """An error of the client in the operator's words, naming the setting to change."""
    where = address(settings)
    match meaning(error):
        case Meaning.NO_BUCKET | Meaning.MISSING:
            reason = f"it has no bucket {settings.bucket!r}"
            return ServiceRefused(SERVICE, where, _variable("bucket"), reason)
        case Meaning.CREDENTIALS:
            reason = (
                "no access key is set, and the AWS chain has none"
                if isinstance(error, NoCredentialsError)
                else "it does not know the access key, or the secret key does not belong to it"
            )
            return ServiceRefused(SERVICE, where, f"{_variable('access_key')} and {_variable('secret_key')}", reason)
        case Meaning.CLOCK:
            reason = "its clock and that of this machine differ by more than it accepts; set this machine's"
            return ServiceRefused(SERVICE, where, _variable("endpoint"), reason)
        case Meaning.FORBIDDEN:
            reason = f"the access key may not list the bucket {settings.bucket!r} (s3:ListBucket)"
            return ServiceRefused(SERVICE, where, _variable("access_key"), reason)
        case Meaning.REFUSED:
            return ServiceRefused(SERVICE, where, _variable("endpoint"), f"it answers {error}")
        case _:
            return ServiceUnreachable(SERVICE, where, _variable("endpoint"), _reason(error, settings))


def _reason(error: Exception, settings: StoreSettings) -> str:
    if isinstance(error, ConnectTimeoutError):
        return f"no connection within {settings.connect_timeout_seconds:g} s"
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return f"no answer within {settings.read_timeout_seconds:g} s"
    if isinstance(error, SSLError):
        return "its certificate is not trusted"
    if isinstance(error, EndpointConnectionError) and isinstance(error.kwargs.get("error"), ClientConnectorDNSError):
        return "its name does not resolve"
    if code := status(error):
        return f"it answers with status {code}"
    return "the connection is refused or breaks off"


# What botocore would otherwise take from AWS_PROFILE, AWS_CA_BUNDLE and the files under ~/.aws, in its own notation:
# key in the files, variable, default, conversion.
_SEALED = {
    "profile": (None, None, None, None),
    "ca_bundle": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def session_of(settings: StoreSettings) -> aioboto3.Session:
    """With a key of our own, shut off from the machine's AWS set-up; without, that set-up is where the key is."""
    if settings.access_key is None or settings.secret_key is None:
        return aioboto3.Session()
    sealed = AioSession(session_vars=_SEALED)
    return aioboto3.Session(settings.access_key, settings.secret_key.get_secret_value(), botocore_session=sealed)


def _variable(field: str) -> str:
    return variable("store", field)
