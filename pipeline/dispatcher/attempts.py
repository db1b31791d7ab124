"""Due deliveries -> attempts -> what came of them, written down: the loop of the dispatcher."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline.dispatcher.slots import Slots
from pipeline.errors import PipelineError
from pipeline.kafka.commits import wait_until
from pipeline.state.records import Answer, Attempted, Endpoint, Next, PendingDelivery, SigningKey

log = structlog.get_logger()

Keys = tuple[SigningKey, ...]

PAUSE_SECONDS = 0.02
"""Between two claims, and between two writes: what comes meanwhile goes together."""
IDLE_SECONDS = 0.5
"""Between two looks for what has fallen due, while nothing is planned here."""
MOST_AT_ONCE = 500
CLAIM_MARGIN_SECONDS = 30.0
"""A claim outlasts the attempt by this, to write down what came of it."""


class Claim(Protocol):
    """Deliveries that are due, ours until `until` (Unix seconds), and the keys of their endpoints."""

    async def __call__(
        self, until: float, wanted: Callable[[Endpoint], int], most: int
    ) -> Sequence[tuple[PendingDelivery, Keys]]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What attempts act through."""

    claim: Claim
    record: Callable[[Sequence[Attempted]], Awaitable[None]]
    release: Callable[[Collection[str]], Awaitable[None]]
    """Give claims back, by the ids of the deliveries."""
    deliver: Callable[[PendingDelivery, Keys], Awaitable[Answer]]
    decide: Callable[[PendingDelivery, Answer], Next]
    allowed: Callable[[Endpoint], int]
    """Attempts at a time that the endpoint's health allows."""
    now: Callable[[], float]
    """Unix seconds."""


class Attempts:
    """Runs until `stopping`, then until what is under way has ended and is written down."""

    def __init__(self, ports: Ports, slots: Slots, attempt_seconds: float) -> None:
        self._ports = ports
        self._slots = slots
        self._attempt_seconds = attempt_seconds
        self._waiting: dict[str, deque[tuple[PendingDelivery, Keys, float]]] = {}
        """By endpoint: claimed deliveries and until when they may be begun."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempted: list[Attempted] = []
        self._wake = asyncio.Event()
        self._written = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Claim, attempt, write down. A database that is away is asked again; nothing is lost meanwhile."""
        recording = asyncio.create_task(self._record_for_ever())
        try:
            while not stopping.is_set():
                if not await self._claim():
                    await first_of(stopping, self._wake, seconds=IDLE_SECONDS)
                self._wake.clear()
                await wait_until(stopping, PAUSE_SECONDS)
            await self._release()
            await asyncio.gather(*self._tasks)
            await self._record()
        finally:
            for task in (recording, *self._tasks):
                task.cancel()
            await asyncio.gather(recording, *self._tasks, return_exceptions=True)

    async def _claim(self) -> bool:
        """Take what is due and there is a place for; whether there was any."""
        room = min(MOST_AT_ONCE, 2 * self._slots.limits.all - self._slots.total)
        if room <= 0:
            return False
        until = self._ports.now() + self._attempt_seconds + CLAIM_MARGIN_SECONDS
        try:
            claimed = await self._ports.claim(until, self._wanted, room)
        except PipelineError as error:
            log.warning("claim_failed", error=str(error))
            return False
        for delivery, keys in claimed:
            endpoint = delivery.endpoint.id
            self._slots.waiting[endpoint] += 1
            self._waiting.setdefault(endpoint, deque()).append((delivery, keys, until - self._attempt_seconds))
        for endpoint in {delivery.endpoint.id for delivery, _ in claimed}:
            self._begin(endpoint)
        return bool(claimed)

    def _wanted(self, endpoint: Endpoint) -> int:
        return self._slots.wanted(endpoint.id, self._ports.allowed(endpoint))

    def _begin(self, endpoint_id: str) -> None:
        """Begin what waits for the endpoint, as far as there are places."""
        waiting = self._waiting.get(endpoint_id)
        while waiting and self._slots.free(waiting[0][0].endpoint, self._ports.allowed(waiting[0][0].endpoint)):
            delivery, keys, begin_by = waiting.popleft()
            if self._ports.now() > begin_by:
                # The claim may end before the attempt does, and another dispatcher make the same one.
                self._slots.waiting[endpoint_id] -= 1
                continue
            self._slots.begin(delivery.endpoint)
            task = asyncio.create_task(self._attempt(delivery, keys))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not waiting:
            self._waiting.pop(endpoint_id, None)

    async def _attempt(self, delivery: PendingDelivery, keys: Keys) -> None:
        answer = await self._ports.deliver(delivery, keys)
        self._attempted.append(Attempted(delivery, answer, self._ports.decide(delivery, answer)))
        self._slots.end(delivery.endpoint, answer.seconds, well=200 <= (answer.status or 0) < 300)
        self._written.set()
        self._wake.set()
        self._begin_host(delivery.endpoint)

    def _begin_host(self, endpoint: Endpoint) -> None:
        """A place is free for the endpoint, and for others of its host."""
        self._begin(endpoint.id)
        for other in [each for each, queue in self._waiting.items() if queue[0][0].endpoint.host == endpoint.host]:
            self._begin(other)

    async def _record_for_ever(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            await self._record()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _record(self) -> None:
        """Write down all that was attempted; again and again while the database is away."""
        while self._attempted:
            batch = self._attempted[:MOST_AT_ONCE]
            try:
                await self._ports.record(batch)
            except PipelineError as error:
                log.warning("record_failed", error=str(error))
                await asyncio.sleep(IDLE_SECONDS)
            else:
                del self._attempted[: len(batch)]

    async def _release(self) -> None:
        """What was claimed and not begun is others' to begin at once."""
        left = [delivery.id for queue in self._waiting.values() for delivery, _, _ in queue]
        self._waiting.clear()
        try:
            await self._ports.release(left)
        except PipelineError as error:
            log.warning("release_failed", error=str(error))


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Return when one of the events is set, or after `seconds`."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def by_id(pairs: Mapping[str, Keys], claimed: Sequence[PendingDelivery]) -> list[tuple[PendingDelivery, Keys]]:
    """Each delivery with the keys of its endpoint."""
    return [(each, pairs[each.endpoint.id]) for each in claimed]
