"""Addresses of results that whoever has them may read for a while."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote

import structlog
from botocore.exceptions import BotoCoreError, NoCredentialsError

from pipeline.settings import StoreSettings
from pipeline.storage.client import Store, connect, explain, session_of
from pipeline.storage.keys import is_result
from pipeline.storage.sigv4 import Credentials, signed_url

log = structlog.get_logger(__name__)

PublicUrl = Callable[[str], Awaitable[str]]
"""From `s3://bucket/key` to what a receiver is given. Raises `PipelineError` when there is nothing to sign with."""

_KEY = "key"


@asynccontextmanager
async def open_public_url(settings: StoreSettings, seconds: int) -> AsyncIterator[PublicUrl]:
    """Addresses that can be read for `seconds`, at most a week; 0 gives out the `s3://` ones themselves.

    Signing contacts nobody but, now and then, whoever lends credentials; an address signed with lent ones ends when
    they do. Nothing but a result in our own bucket is signed: of anything else the `s3://` address is given out. Raises
    `ServiceRefused` for settings that lead to no store.
    """
    async with connect(settings) as store:
        yield _Signer(store, seconds).sign if seconds else _as_it_is


async def _as_it_is(url: str) -> str:
    return url


class _Signer:
    """The library's own `generate_presigned_url` works out the bucket's address anew for each key, for 0.3 ms."""

    def __init__(self, store: Store, seconds: int) -> None:
        self._store = store
        self._seconds = seconds
        self._session = session_of(store.settings)
        self._bucket: str | None = None
        """Our bucket's address, once it is known."""

    async def sign(self, url: str) -> str:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if bucket != self._store.settings.bucket or not is_result(key):
            log.warning("address_not_signed", url=url)
            return url
        try:
            self._bucket = self._bucket or await self._address(bucket)
            address = self._bucket + quote(key, safe="/~")
            credentials = await self._credentials()
        except BotoCoreError as error:
            raise explain(error, self._store.settings) from error
        return signed_url(address, credentials, self._store.settings.region, self._seconds, datetime.now(UTC))

    async def _credentials(self) -> Credentials:
        """Lent ones are renewed by the library before they end."""
        found = await self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen = await found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    async def _address(self, bucket: str) -> str:
        """What comes before the key."""
        signed = await self._store.s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _KEY})
        return signed.partition("?")[0].removesuffix(_KEY)
