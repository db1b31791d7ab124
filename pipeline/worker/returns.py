"""Retry topic -> request topic: a record waits until it is due, then is asked for again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from pipeline.kafka.records import Received
from pipeline.kafka.retry import due
from schemas.topics import TIERS

MOST_WAITING = 1024
"""Of a lane, in memory at a time; what comes later waits on its topic, which is paused."""


async def put_back(
    received: Received,
    publish: Callable[[Received], Awaitable[None]],
    wall: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once the record is back on its request topic, which is not before it is due."""
    await sleep(seconds_until(due(received.headers), wall()))
    await publish(received)


def seconds_until(moment: datetime | None, now: datetime) -> float:
    """No longer than the longest tier: the header may be a stranger's, or of a clock that is wrong."""
    wait = (moment - now).total_seconds() if moment else 0.0
    return min(max(0.0, wait), float(TIERS[-1].delay_seconds))
