"""Bytes on their way into the store, in memory or in a file, with their digest."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

Data = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Payload:
    """What is to be stored. Reading it twice gives the same bytes."""

    size: int
    sha256: str
    """Lower-case hexadecimal."""
    read: Callable[[int, int], Awaitable[Data]]
    """`read(offset, length)`: that many bytes from there on."""


async def payload_of_bytes(data: Data) -> Payload:
    """Hashes on a thread: 26 MB take 20 ms."""
    view = memoryview(data).cast("B")

    async def read(offset: int, length: int) -> Data:
        # The very object where all of it is asked for: a stream over `bytes` shares them, over a view it copies.
        return data if (offset, length) == (0, len(view)) else view[offset : offset + length]

    digest = await asyncio.to_thread(hashlib.sha256, view)
    return Payload(len(view), digest.hexdigest(), read)


async def payload_of_file(path: Path) -> Payload:
    """Never holds more of the file than one read asks for. The file must not change meanwhile. Raises `OSError`."""

    async def read(offset: int, length: int) -> Data:
        return await asyncio.to_thread(_pread, path, offset, length)

    size, digest = await asyncio.to_thread(_measure, path)
    return Payload(size, digest, read)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _pread(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), length, offset)
