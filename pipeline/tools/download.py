"""One file from an address into a partial file beside where it will be, going on where the last try stopped.

The network code of models lives among the tools: workers never download, so that they start and serve offline, and
`pipeline.gpu` stays without a client. What is fetched is known beforehand, by size and SHA-256 of the catalogue, so
that a server can at worst waste time: it is cut off at the first byte too many.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from yarl import URL

from pipeline.gpu.models.specs import OfficialWeights
from pipeline.model_settings import ModelSettings
from pipeline.tools.partial_file import DownloadFailed, Partial, alone, append, disk_errors, kept

CHUNK_BYTES: int = 2**18
RESUMES = 5
"""How often a file is gone on with, in one call, after its connection broke; each time only if bytes had come."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Told = Callable[[int], None]
"""Told how many bytes of the file there are now."""


class _Broken(Exception):
    """The connection broke or fell silent; what has come is kept, and the next request goes on from there."""


class _Stale(Exception):
    """The server cannot go on from what we have."""


@asynccontextmanager
async def open_session(settings: ModelSettings) -> AsyncIterator[aiohttp.ClientSession]:
    """The client that fetches files.

    It obeys HTTPS_PROXY and its kin, which nothing else of ours does: the operator types this command on a machine
    whose way out may be a proxy, the addresses are the catalogue's or the operator's own and never a caller's, and
    what comes is believed for its digest alone.
    """
    timeouts = aiohttp.ClientTimeout(
        total=None, sock_connect=settings.connect_timeout_seconds, sock_read=settings.stall_timeout_seconds
    )
    async with aiohttp.ClientSession(
        timeout=timeouts,
        trust_env=True,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "upscale-models"},
    ) as session:
        yield session


async def download(
    session: aiohttp.ClientSession, address: URL, published: OfficialWeights, target: Partial, told: Told
) -> None:
    """Fetch `published` from `address` into `target`, which then has its size; its digest is left to the caller.

    Raises `DownloadFailed`. What has come is kept for the next call, unless the server sent something else.
    """
    with disk_errors(target), alone(target):
        for _ in range(RESUMES + 1):
            before = target.size()
            try:
                return await _fetch(session, address, published, target, told)
            except _Stale:
                target.discard()
            except _Broken as error:
                if target.size() <= before:
                    raise kept(published, target, str(error)) from error
        raise kept(published, target, f"the connection broke {RESUMES + 1} times")


async def _fetch(
    session: aiohttp.ClientSession, address: URL, published: OfficialWeights, target: Partial, told: Told
) -> None:
    have = target.size()
    if have > published.size:
        target.discard()
        have = 0
    if have == published.size:
        told(have)
        return
    with _network_errors(address):
        async with session.get(address, headers=_range(have, target.validator())) as response:
            offset = _offset(response, have, published)
            _check_announced(response, published.size - offset, published)
            if offset == 0:
                target.discard()
                target.began(_validator(response))
            await _write(response, published, target, told)


def _range(have: int, validator: str | None) -> dict[str, str]:
    if not have:
        return {}
    # Without the condition a server may go on with another file of that name.
    return {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """Only a strong tag may be used for ranges (RFC 9110, 13.1.5); a time serves where there is none."""
    tag = response.headers.get("ETag", "")
    found = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    return found if found and found.isascii() else None


def _offset(response: aiohttp.ClientResponse, have: int, published: OfficialWeights) -> int:
    """From which byte of the file the answer goes on: `have`, or 0 when it is the whole file again."""
    if response.status == 200:
        return 0
    if have and response.status == 416:
        raise _Stale
    if response.status != 206 or not have:
        raise DownloadFailed(f"{published.file}: the server answered {response.status} {response.reason or ''}".strip())
    named = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if named is None or int(named[1]) != have or named[2] not in ("*", str(published.size)):
        raise _Stale
    return have


def _check_announced(response: aiohttp.ClientResponse, expected: int, published: OfficialWeights) -> None:
    """What is not the file is not even read."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadFailed(f"{published.file}: the server compresses it, unasked")
    announced = response.content_length
    if announced is not None and announced != expected:
        raise DownloadFailed(
            f"{published.file}: must be {published.size} bytes, the server announces {announced} "
            f"where {expected} are missing"
        )


async def _write(response: aiohttp.ClientResponse, published: OfficialWeights, target: Partial, told: Told) -> None:
    with target.path.open("ab", buffering=0) as file:
        have = target.size()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            if have + len(chunk) > published.size:
                target.discard()
                raise DownloadFailed(f"{published.file}: must be {published.size} bytes, the server sends more")
            await asyncio.to_thread(append, file, chunk)
            have += len(chunk)
            told(have)
        await asyncio.to_thread(os.fsync, file.fileno())
    if have < published.size:
        raise _Broken(f"the server ended after {have} of {published.size} bytes")


@contextmanager
def _network_errors(address: URL) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise _Broken(f"{address.host} fell silent") from None
    except aiohttp.ClientConnectorError as error:
        raise _Broken(f"cannot reach {address.host}: {error.os_error.strerror or error.os_error}") from None
    except (aiohttp.ClientError, ConnectionError) as error:
        raise _Broken(f"the connection to {address.host} broke: {type(error).__name__}") from None
