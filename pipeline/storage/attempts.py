"""Try a store operation again when that may help: a pure schedule and a thin loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pipeline.settings import StoreSettings
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning

log = structlog.get_logger(__name__)

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 2.0

Result = TypeVar("Result")


def delay(attempt: int, chance: float) -> float:
    """Seconds to wait after failed try number `attempt`, the first being 1. `chance` in [0, 1) spreads clients.

    Doubling, halved at most by chance: clients that failed together do not come back together.
    """
    ceiling = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1))
    return ceiling * (1 + chance) / 2


async def attempt(
    operation: Callable[[], Awaitable[Result]], settings: StoreSettings, *, bounded: bool = True
) -> Result:
    """The result of `operation`, tried up to `settings.attempts` times while its error is a passing one.

    Raises the last of `STORE_ERRORS`. A `bounded` try has as long as connecting and reading may take together, which
    also ends with a server that accepts a body and then stops reading it.
    """
    patience = settings.connect_timeout_seconds + settings.read_timeout_seconds if bounded else None
    number = 1
    while True:
        try:
            async with asyncio.timeout(patience):
                return await operation()
        except STORE_ERRORS as error:
            if meaning(error) is not Meaning.PASSING or number >= settings.attempts:
                raise
            log.info("store_attempt_failed", attempt=number, error=type(error).__name__)
        await asyncio.sleep(delay(number, random.random()))  # noqa: S311  spreads load, guards nothing
        number += 1
