"""Due deliveries -> attempts -> what came of them, written down: the loop of the dispatcher."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from pipeline.dispatcher.places import Held, Places
from pipeline.errors import PipelineError
from pipeline.patience import first_of, wait_until
from pipeline.state.records import Answer, Attempted, Endpoint, Next, PendingDelivery, SigningKey

log = structlog.get_logger()

Keys = tuple[SigningKey, ...]

PAUSE_SECONDS = 0.025
"""Between two claims, and between two writes: what comes meanwhile goes together."""
REST_SECONDS = 0.2
"""After a claim that found nothing, however much ends meanwhile: most deliveries are attempted as they are planned, and
what is left for claims are retries, and what found no place."""
IDLE_SECONDS = 0.5
"""Between two looks for what has fallen due, while nothing is planned here and nothing ends."""
MOST_AT_ONCE = 500
BEGIN_SECONDS = 15.0
"""A delivery that is held for longer, since others of its endpoint are slow, is given up to whoever claims it next."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What attempts act through. `claim`, `record` and `release` raise `PipelineError` for what passes."""

    claim: Callable[[Held], Awaitable[Sequence[tuple[PendingDelivery, Keys]]]]
    """Deliveries that are due, with the keys to sign them with; as many as there is room for beside what is held. They
    are ours for so long that an attempt which begins within `BEGIN_SECONDS` ends meanwhile."""
    deliver: Callable[[PendingDelivery, Keys], Awaitable[Answer]]
    decide: Callable[[PendingDelivery, Answer], Next]
    record: Callable[[Sequence[Attempted]], Awaitable[None]]
    release: Callable[[Collection[str]], Awaitable[None]]
    """Give claims back, by the ids of the deliveries."""
    has_room: Callable[[Held, Endpoint], bool]
    """Whether one more may be held of an endpoint, which has to be well."""
    now: Callable[[], float]
    """Monotonic seconds."""


class Attempts:
    """One event loop. More is held than is attempted at a time, so that the next begins as soon as one has ended."""

    def __init__(self, ports: Ports, places: Places) -> None:
        self._ports = ports
        self._places = places
        self._held = Held()
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempted: list[Attempted] = []
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._recording = asyncio.Lock()
        self._unbegun: set[str] = set()
        self._stopping = False

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def reserve(self, endpoint: Endpoint) -> bool:
        """A place for one more delivery, if there is one and the endpoint is well."""
        room = not self._stopping and self._ports.has_room(self._held, endpoint)
        if room:
            self._held.add(endpoint)
        return room

    def give_up(self, endpoint: Endpoint) -> None:
        """A place that was reserved is not needed."""
        self._held.remove(endpoint)

    def begin(self, held: Sequence[tuple[PendingDelivery, Keys]]) -> None:
        """Attempt these, which are claimed, and a place reserved for each."""
        begin_by = self._ports.now() + BEGIN_SECONDS
        for delivery, keys in held:
            task = asyncio.create_task(self._attempt(delivery, keys, begin_by))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def run(self, stopping: asyncio.Event) -> None:
        """Claim, attempt, write down until `stopping`; then until what is under way has ended and is written down.

        A database that is away is asked again: nothing is lost meanwhile, for nothing is claimed. Raises what else
        fails, above all writing down: what is not written is attempted again and again.
        """
        try:
            async with asyncio.TaskGroup() as loops:
                recording = loops.create_task(self._record_for_ever())
                await self._claim_until(stopping)
                self._stopping = True
                await asyncio.gather(*self._tasks)
                await self._record()
                await self._release()
                recording.cancel()
        except BaseExceptionGroup as group:
            # The first to fail takes the others along; a group would hide what it is.
            raise group.exceptions[0] from group
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _claim_until(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self._wake.clear()
            await self._release()
            if await self._claim():
                await wait_until(stopping, PAUSE_SECONDS)
            else:
                await wait_until(stopping, REST_SECONDS)
                await first_of(stopping, self._wake, seconds=IDLE_SECONDS - REST_SECONDS)

    async def _claim(self) -> bool:
        """Begin what is due and has a place; whether there was any."""
        try:
            claimed = await self._ports.claim(self._held)
        except PipelineError as error:
            log.warning("claim_failed", error=str(error))
            return False
        for delivery, _ in claimed:
            self._held.add(delivery.endpoint)
        self.begin(claimed)
        return bool(claimed)

    async def _attempt(self, delivery: PendingDelivery, keys: Keys, begin_by: float) -> None:
        try:
            async with self._places.one(delivery.endpoint):
                if self._stopping or self._ports.now() > begin_by:
                    self._unbegun.add(delivery.id)
                    return
                answer = await self._ports.deliver(delivery, keys)
        finally:
            self._held.remove(delivery.endpoint)
        self._attempted.append(Attempted(delivery, answer, self._ports.decide(delivery, answer)))
        self._ended.set()
        self._wake.set()

    async def _release(self) -> None:
        """What was not begun in time is anybody's again; with the database away, when our claim has run out."""
        unbegun, self._unbegun = self._unbegun, set()
        if unbegun:
            try:
                await self._ports.release(unbegun)
            except PipelineError as error:
                log.warning("release_failed", error=str(error))

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
