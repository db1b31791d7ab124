"""A stream of chunks becomes `SourceBytes`, within a limit, hashed on the way."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

from pipeline.errors import JobFailed
from pipeline.storage.objects import SourceBytes
from schemas.failures import FailureCode

CHUNK_BYTES = 64 * 2**10
"""Hashing one takes some 50 µs: short enough for the event loop."""


async def gather(chunks: AsyncIterator[bytes], *, announced: int | None, limit: int) -> SourceBytes:
    """Collect at most `limit` bytes; `announced` is the length the sender declared, if it did.

    Raises `JobFailed` with `source_too_large` (before reading, when announced), `source_empty` or `source_truncated`.
    """
    _check_size(announced or 0, limit)
    digest, parts, size = sha256(), list[bytes](), 0
    async for chunk in chunks:
        size += len(chunk)
        _check_size(size, limit)
        digest.update(chunk)
        parts.append(chunk)
    if announced is not None and size != announced:
        raise truncated({"announced": announced, "received": size})
    if size == 0:
        raise JobFailed(FailureCode.SOURCE_EMPTY, "source: it has no content, got 0 bytes")
    # Joining tens of megabytes takes tens of milliseconds; it lets go of the interpreter meanwhile.
    return SourceBytes(await asyncio.to_thread(b"".join, parts), digest.hexdigest())


def truncated(details: dict[str, int] | None = None) -> JobFailed:
    return JobFailed(FailureCode.SOURCE_TRUNCATED, "source: it ended before all that was announced had come", details)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise JobFailed(
            FailureCode.SOURCE_TOO_LARGE,
            f"source: at most {limit} bytes are allowed, got {size} or more",
            {"limit": limit, "value": size},
        )
