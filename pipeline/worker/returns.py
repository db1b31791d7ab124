"""Retry topic -> request topic: a record waits until it is due, then is asked for again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from pipeline.kafka.records import Received
from pipeline.kafka.retry import due
from schemas.topics import TIERS

MOST_WAITING = 1024
"""Of a topic, in memory at a time; what comes later waits there, and falls due later. As many, at a kilobyte each, as
are fetched of its four partitions at a time, so that the first of each is among them."""


async def put_back(
    received: Received,
    publish: Callable[[Received], Awaitable[None]],
    wall: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once the record is back on its request topic, which is not before it is due."""
    await sleep(seconds_until(due(received.headers), wall(), longest_wait(received.position.topic)))
    await publish(received)


def longest_wait(topic: str) -> float:
    """Seconds: no record of a tier is due later than its delay after it was written, whatever its header says."""
    delays = (tier.delay_seconds for tier in TIERS if topic.endswith(f".{tier.name}"))
    return float(next(delays, TIERS[-1].delay_seconds))


def seconds_until(moment: datetime | None, now: datetime, longest: float) -> float:
    """No longer than `longest`: the header may be a stranger's, or of a clock that is wrong."""
    wait = (moment - now).total_seconds() if moment else 0.0
    return min(max(0.0, wait), longest)
