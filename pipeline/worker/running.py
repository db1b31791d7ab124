"""Running: the jobs under way in this process, so that a record that comes again meets them, and a caller can."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, TypeVar

from pipeline.errors import CalledOff, ShuttingDown
from pipeline.storage.jobs import JobKey

T = TypeVar("T")

REMEMBERED = 100_000
"""Cancellations that a worker keeps in mind, some 20 MB at most; older ones were acted on long ago."""


class _Settled(Enum):
    """How the settling of a job ended, for who waited with another record of it."""

    WELL = auto()
    FAILED = auto()
    """Outside of the job's own work; that record is tried again elsewhere."""
    GIVEN_UP = auto()
    """By a worker that stops."""


class Running:
    """One event loop. After a rebalance a worker may be handed a record whose job it is still doing."""

    def __init__(self) -> None:
        self._settling: dict[JobKey, asyncio.Future[_Settled]] = {}
        self._doing: dict[JobKey, asyncio.Task[Any]] = {}
        self._called_off: set[JobKey] = set()
        self._unwanted: dict[tuple[str, str], None] = {}
        """Tenant and id of jobs that were called off, oldest first."""

    async def once(self, key: JobKey, settle: Callable[[], Awaitable[T]], twin: T) -> T:
        """What `settle` gives; `twin` when the same job was being settled already, and that has gone well.

        Raises what `settle` raises, and `ShuttingDown` when the other gave up: the record stays for another worker.
        """
        while key in self._settling:
            match await asyncio.shield(self._settling[key]):
                case _Settled.WELL:
                    return twin
                case _Settled.GIVEN_UP:
                    raise ShuttingDown("the job was given up in this process")
                case _Settled.FAILED:
                    # This worker goes on, and no other would be handed the record: it is ours to settle.
                    continue
        return await self._settle(key, settle)

    async def _settle(self, key: JobKey, settle: Callable[[], Awaitable[T]]) -> T:
        over = self._settling[key] = asyncio.get_running_loop().create_future()
        ended = _Settled.GIVEN_UP
        try:
            settled = await settle()
            ended = _Settled.WELL
            return settled
        except ShuttingDown:
            raise
        except Exception:
            ended = _Settled.FAILED
            raise
        finally:
            del self._settling[key]
            over.set_result(ended)

    async def do(self, key: JobKey, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which `call_off` ends with `CalledOff`, also when it came first.

        A job whose worker has just died looks busy to all others when it is called off; its heir must know of it. What
        an operator plays again is wanted again.
        """
        if not key.replay and (key.tenant, key.job_id) in self._unwanted:
            work.close()
            raise CalledOff("the caller wants no result any more")
        task = asyncio.ensure_future(work)
        self._doing[key] = task
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            if key in self._called_off:
                raise CalledOff("the caller wants no result any more") from None
            raise
        finally:
            self._called_off.discard(key)
            del self._doing[key]

    def call_off(self, tenant: str, job_id: str) -> bool:
        """End the job's work, in whichever generation; whether there was any. It does not begin here again."""
        self._unwanted[tenant, job_id] = None
        if len(self._unwanted) > REMEMBERED:
            del self._unwanted[next(iter(self._unwanted))]
        found = [key for key in self._doing if (key.tenant, key.job_id) == (tenant, job_id)]
        for key in found:
            self._called_off.add(key)
            self._doing[key].cancel()
        return bool(found)
