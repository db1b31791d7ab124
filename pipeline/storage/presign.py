"""Addresses of results that whoever has them may read for a while."""

from collections.abc import Awaitable, Callable

from botocore.exceptions import BotoCoreError

from pipeline.errors import ServiceRefused
from pipeline.storage.client import SERVICE, Store, address
from pipeline.variables import variable

PublicUrl = Callable[[str], Awaitable[str]]
"""From `s3://bucket/key` to what a receiver is given. Raises `ServiceRefused` when there is nothing to sign with."""


def public_url(store: Store, seconds: int) -> PublicUrl:
    """Addresses that can be read for `seconds`, at most a week; 0 gives out the `s3://` ones themselves.

    Signing contacts nobody. An address signed with credentials that a role lends ends when they do.
    """

    async def sign(url: str) -> str:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            return await store.s3.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
            )
        except BotoCoreError as error:
            where = address(store.settings)
            raise ServiceRefused(SERVICE, where, variable("store", "access_key"), str(error)) from error

    async def as_it_is(url: str) -> str:
        return url

    return sign if seconds else as_it_is
