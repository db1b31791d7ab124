"""Due deliveries -> attempts -> what came of them, written down: the loop of the dispatcher."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from pipeline.errors import PipelineError
from pipeline.kafka.commits import wait_until
from pipeline.state.records import Answer, Attempted, Endpoint, Next, PendingDelivery, SigningKey

log = structlog.get_logger()

Keys = tuple[SigningKey, ...]

PAUSE_SECONDS = 0.025
"""Between two claims, and between two writes: what comes meanwhile goes together."""
IDLE_SECONDS = 0.5
"""Between two looks for what has fallen due, while nothing is planned here and nothing ends."""
MOST_AT_ONCE = 500


@dataclass(slots=True)
class UnderWay:
    """Attempts that have begun and not ended."""

    endpoints: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.endpoints.total()

    def begin(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.id] += 1
        self.hosts[endpoint.host] += 1

    def end(self, endpoint: Endpoint) -> None:
        """What is at zero is forgotten: there is no end of hosts."""
        for counts, key in ((self.endpoints, endpoint.id), (self.hosts, endpoint.host)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]


@dataclass(frozen=True, slots=True)
class Ports:
    """What attempts act through. `claim` and `record` raise `PipelineError` for what passes."""

    claim: Callable[[UnderWay], Awaitable[Sequence[tuple[PendingDelivery, Keys]]]]
    """Deliveries that are due, ours for longer than an attempt takes, with the keys to sign them with; as many as there
    is room for beside what is under way, in all and at each endpoint and host."""
    deliver: Callable[[PendingDelivery, Keys], Awaitable[Answer]]
    decide: Callable[[PendingDelivery, Answer], Next]
    record: Callable[[Sequence[Attempted]], Awaitable[None]]


class Attempts:
    """One event loop."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._under_way = UnderWay()
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempted: list[Attempted] = []
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._recording = asyncio.Lock()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Claim, attempt, write down until `stopping`; then until what is under way has ended and is written down.

        A database that is away is asked again: nothing is lost meanwhile, for nothing is claimed.
        """
        recording = asyncio.create_task(self._record_for_ever())
        try:
            while not stopping.is_set():
                self._wake.clear()
                if not await self._claim():
                    await first_of(stopping, self._wake, seconds=IDLE_SECONDS)
                await wait_until(stopping, PAUSE_SECONDS)
            await asyncio.gather(*self._tasks)
            await self._record()
        finally:
            for task in (recording, *self._tasks):
                task.cancel()
            await asyncio.gather(recording, *self._tasks, return_exceptions=True)

    async def _claim(self) -> bool:
        """Begin what is due and has a place; whether there was any."""
        try:
            claimed = await self._ports.claim(self._under_way)
        except PipelineError as error:
            log.warning("claim_failed", error=str(error))
            return False
        for delivery, keys in claimed:
            self._under_way.begin(delivery.endpoint)
            task = asyncio.create_task(self._attempt(delivery, keys))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(claimed)

    async def _attempt(self, delivery: PendingDelivery, keys: Keys) -> None:
        try:
            answer = await self._ports.deliver(delivery, keys)
        finally:
            self._under_way.end(delivery.endpoint)
        self._attempted.append(Attempted(delivery, answer, self._ports.decide(delivery, answer)))
        self._ended.set()
        self._wake.set()

    async def _record_for_ever(self) -> None:
        while True:
            await self._ended.wait()
            self._ended.clear()
            await self._record()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _record(self) -> None:
        """Write down all that was attempted, again and again while the database is away."""
        async with self._recording:
            while batch := self._attempted[:MOST_AT_ONCE]:
                try:
                    await self._ports.record(batch)
                except PipelineError as error:
                    log.warning("record_failed", error=str(error))
                    await asyncio.sleep(IDLE_SECONDS)
                else:
                    del self._attempted[: len(batch)]


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Return when one of the events is set, or after `seconds`."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
