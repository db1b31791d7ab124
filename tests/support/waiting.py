"""Waiting for something that a server does in its own time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 60.0
"""Deadline of everything a test waits for: far beyond what is normal, since machines that test are busy."""


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Return when `true`, a question to a server, says so; asked again as soon as answered. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in itertools.count():
            if await true():
                return
