import hashlib
from collections.abc import AsyncIterator

import pytest

from pipeline.errors import JobFailed
from pipeline.storage.gather import gather
from schemas.failures import FailureCode


async def chunks(*sizes: int) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number]) * size


async def test_gather_joins_and_hashes_what_came() -> None:
    """Order is kept, and the digest is that of the whole."""
    gathered = await gather(chunks(2, 1, 3), announced=6, limit=6)
    assert gathered.data == b"\0\0\1\2\2\2"
    assert gathered.sha256 == hashlib.sha256(gathered.data).hexdigest()


@pytest.mark.parametrize("announced", [5, 7])
async def test_gather_refuses_another_length_than_announced(announced: int) -> None:
    """Neither more nor less than was declared, with both numbers."""
    with pytest.raises(JobFailed) as failed:
        await gather(chunks(2, 4), announced=announced, limit=10)
    assert failed.value.code is FailureCode.SOURCE_TRUNCATED
    assert {"announced": announced, "received": 6} == failed.value.details


async def test_gather_stops_at_the_chunk_that_passes_the_limit() -> None:
    """What comes after the limit is not even asked for."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"12345678"
        raise AssertionError("read beyond the limit")

    with pytest.raises(JobFailed) as failed:
        await gather(endless(), announced=None, limit=10)
    assert failed.value.details == {"limit": 10, "value": 16}


async def test_gather_refuses_nothing_at_all() -> None:
    """A source without content is no source."""
    with pytest.raises(JobFailed) as failed:
        await gather(chunks(), announced=0, limit=10)
    assert failed.value.code is FailureCode.SOURCE_EMPTY
