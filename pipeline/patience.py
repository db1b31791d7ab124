"""How long loops wait: for an event or a while, and after a failure."""

import asyncio
import random

BACK_OFF_SECONDS = (0.2, 1.0)


def jittered_back_off() -> float:
    """Seconds to wait after a failure: different in each process, so that they do not all come back at once."""
    return random.uniform(*BACK_OFF_SECONDS)  # noqa: S311  not a secret


async def wait_until(event: asyncio.Event, seconds: float) -> None:
    """Return when `event` is set, or after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Return when one of the events is set, or after `seconds`."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
