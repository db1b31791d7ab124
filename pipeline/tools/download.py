"""One file from an address into a partial file beside where it will be, going on where the last try stopped.

The network code of models lives among the tools: workers never download, so that they start and serve offline, and
`pipeline.gpu` stays without a client. What is fetched is known beforehand, by size and SHA-256 of the catalogue, so
that a server can at worst waste time: it is cut off at the first byte too many.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp
from yarl import URL

from pipeline.errors import PipelineError
from pipeline.gpu.specs import OfficialWeights
from pipeline.model_settings import ModelSettings

CHUNK_BYTES: int = 2**18
RESUMES = 5
"""How often a file is gone on with, in one call, after its connection broke; each time only if bytes had come."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Told = Callable[[int], None]
"""Told how many bytes of the file there are now."""


class DownloadFailed(PipelineError):
    """A file could not be fetched: why, in words for the operator."""


class _Broken(Exception):
    """The connection broke or fell silent; what has come is kept, and the next request goes on from there."""


class _Stale(Exception):
    """The server cannot go on from what we have."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A file that is being fetched, and what its server called that version of it."""

    path: Path

    @property
    def validator_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.version")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str | None:
        """For `If-Range`; None when the server named no version."""
        return self.validator_path.read_text(encoding="ascii") if self.validator_path.is_file() else None

    def began(self, validator: str | None) -> None:
        """The server's name for what is written from now on."""
        self.validator_path.unlink(missing_ok=True)
        if validator is not None:
            self.validator_path.write_text(validator, encoding="ascii")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.validator_path.unlink(missing_ok=True)


def partial(folder: Path, published: OfficialWeights) -> Partial:
    """Where what has come of `published` lies. The digest in its name keeps versions of the catalogue apart."""
    return Partial(folder / f".{published.file}.{published.sha256[:12]}.partial")


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
    with _disk_errors(target), _alone(target):
        for _ in range(RESUMES + 1):
            before = target.size()
            try:
                return await _fetch(session, address, published, target, told)
            except _Stale:
                target.discard()
            except _Broken as error:
                if target.size() <= before:
                    raise _kept(published, target, str(error)) from error
        raise _kept(published, target, f"the connection broke {RESUMES + 1} times")


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
            await asyncio.to_thread(_append, file, chunk)
            have += len(chunk)
            told(have)
        await asyncio.to_thread(os.fsync, file.fileno())
    if have < published.size:
        raise _Broken(f"the server ended after {have} of {published.size} bytes")


def _append(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _kept(published: OfficialWeights, target: Partial, reason: str) -> DownloadFailed:
    have = target.size()
    kept = f"; {have} of {published.size} bytes are kept, and the next call goes on from there" if have else ""
    return DownloadFailed(f"{published.file}: {reason}{kept}")


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


@contextmanager
def _disk_errors(target: Partial) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadFailed(
            f"{target.path.parent}: cannot be written: {error.strerror or error}; what has come is kept, and the next "
            "call goes on from there"
        ) from error


@contextmanager
def _alone(target: Partial) -> Iterator[None]:
    """Two at once would write into one file."""
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with target.path.with_name(f"{target.path.name}.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadFailed(f"{target.path.name}: another process is fetching it") from None
        yield
