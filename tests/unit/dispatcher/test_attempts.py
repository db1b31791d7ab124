"""Guarantees of pipeline.dispatcher.attempts, in virtual time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.dispatcher.attempts import Attempts, Keys, Ports
from pipeline.dispatcher.places import Held, Places
from pipeline.errors import StateUnavailable
from pipeline.state.records import Answer, Attempted, Delivered, Endpoint, Next, Outcome, PendingDelivery
from tests.support.attempts import HMAC_KEY, pending
from tests.support.clock import run_virtual

ANSWER = Answer(Outcome.DELIVERED, 204, None, 0.0, 0.1)
AT_A_TIME = 3
HELD = 6


def delivery(name: str) -> PendingDelivery:
    return replace(pending(), id=name)


class Dispatcher:
    """Attempts with a queue for a database; `run` returns when all that was due has been written down."""

    def __init__(self, *due: str) -> None:
        self.due = deque(due)
        self.begun: list[str] = []
        self.under_way = self.most_under_way = 0
        self.recorded: list[str] = []
        self.batches: list[int] = []
        self.failing: dict[str, int] = {}
        """How often a port fails yet."""
        self.stopping = asyncio.Event()
        self.send: Callable[[PendingDelivery], Awaitable[None]] = self.answer_soon
        self.released: set[str] = set()
        self.attempts: Attempts

    async def answer_soon(self, delivery: PendingDelivery) -> None:
        await asyncio.sleep(0.1)

    async def claim(self, held: Held) -> Sequence[tuple[PendingDelivery, Keys]]:
        self.fail("claim")
        room = min(HELD - held.total, len(self.due))
        return [(delivery(self.due.popleft()), (HMAC_KEY,)) for _ in range(room)]

    async def deliver(self, delivery: PendingDelivery, keys: Keys) -> Answer:
        self.begun.append(delivery.id)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.send(delivery)
        self.under_way -= 1
        return ANSWER

    def has_room(self, held: Held, endpoint: Endpoint) -> bool:
        return held.total < HELD

    async def release(self, ids: Collection[str]) -> None:
        self.released |= set(ids)

    def decide(self, delivery: PendingDelivery, answer: Answer) -> Next:
        return Delivered()

    async def record(self, attempted: Sequence[Attempted]) -> None:
        self.fail("record")
        await asyncio.sleep(0.05)
        self.batches.append(len(attempted))
        self.recorded += [each.delivery.id for each in attempted]

    def fail(self, port: str) -> None:
        if self.failing.get(port, 0):
            self.failing[port] -= 1
            raise StateUnavailable("gone")

    async def live(self, stop_after: float, *beside: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(stop_after, self.stopping.set)
        ports = Ports(self.claim, self.deliver, self.decide, self.record, self.release, self.has_room, loop.time)
        self.attempts = Attempts(ports, Places(endpoint=AT_A_TIME, host=AT_A_TIME, total=AT_A_TIME))
        await asyncio.gather(self.attempts.run(self.stopping), *beside)

    def run(self, *beside: Coroutine[Any, Any, None], stop_after: float = 60.0) -> None:
        run_virtual(self.live(stop_after, *beside))


NAMES = tuple(f"d{number}" for number in range(20))


def test_all_that_is_due_is_attempted_and_written_down_once() -> None:
    """With no more under way than there is room for."""
    here = Dispatcher(*NAMES)
    here.run()
    assert here.begun == list(NAMES)
    assert sorted(here.recorded) == sorted(NAMES)
    assert here.most_under_way == AT_A_TIME


def test_place_is_taken_again_while_others_are_still_under_way() -> None:
    """One receiver that hangs uses its own place only."""
    here = Dispatcher(*NAMES)

    async def hang_for_the_first(delivery: PendingDelivery) -> None:
        await asyncio.sleep(30.0 if delivery.id == "d0" else 0.1)

    here.send = hang_for_the_first
    here.run(stop_after=5.0)
    assert here.recorded[-1] == "d0"
    assert here.begun == list(NAMES)


def test_attempt_that_is_under_way_when_we_stop_ends_and_is_written_down() -> None:
    """Nothing new is begun; what was held for it is given back, and whoever is next finds the rest as it was."""
    here = Dispatcher(*NAMES)
    here.run(stop_after=0.05)
    assert here.begun == sorted(here.recorded) == list(NAMES[:AT_A_TIME])
    assert here.released == set(NAMES[AT_A_TIME:HELD])


def test_delivery_that_waits_too_long_for_a_place_is_given_back() -> None:
    """Its claim would end before its attempt, and another dispatcher make the same one meanwhile."""
    here = Dispatcher(*NAMES[:HELD])

    async def hang(_: PendingDelivery) -> None:
        await asyncio.sleep(30.0)

    here.send = hang
    here.run(stop_after=20.0)
    assert here.begun == list(NAMES[:AT_A_TIME])
    assert here.released == set(NAMES[AT_A_TIME:HELD])


def test_what_could_not_be_written_down_is_written_later() -> None:
    """A database that is away for a moment costs no second attempt."""
    here = Dispatcher(*NAMES)
    here.failing = {"record": 3, "claim": 3}
    here.run()
    assert sorted(here.recorded) == sorted(here.begun) == sorted(NAMES)


def test_error_of_the_database_that_does_not_pass_ends_the_loop_at_once() -> None:
    """What was attempted would come again and again, and nobody hear of it."""
    here = Dispatcher(*NAMES)

    async def record(_: Sequence[Attempted]) -> None:
        raise KeyError("no such column")

    here.record = record  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="no such column"):
        here.run()
    assert not here.stopping.is_set()


def test_attempts_that_end_while_others_are_written_down_are_written_together() -> None:
    """A thousand a second are not a thousand transactions."""
    here = Dispatcher(*NAMES)
    here.run()
    assert len(here.batches) < len(NAMES) / 2


def test_waking_it_finds_what_is_due_before_it_would_have_looked() -> None:
    """The first attempt follows its event at once."""
    here = Dispatcher()
    begun_at: list[float] = []

    async def plan() -> None:
        await asyncio.sleep(0.2)
        here.due.append("d0")
        here.attempts.wake()

    async def note(_: PendingDelivery) -> None:
        begun_at.append(asyncio.get_running_loop().time())

    here.send = note
    here.run(plan(), stop_after=5.0)
    assert begun_at[0] < 0.25


def test_what_is_planned_here_is_attempted_at_once_while_there_is_room() -> None:
    """Reserved places count like claimed ones, and those given up are free again."""
    here = Dispatcher()
    planned = [delivery(name) for name in NAMES[:HELD]]
    refused: list[bool] = []

    async def plan() -> None:
        await asyncio.sleep(0.1)
        assert all(here.attempts.reserve(each.endpoint) for each in planned)
        refused.append(here.attempts.reserve(planned[0].endpoint))
        here.attempts.give_up(planned[-1].endpoint)
        here.attempts.begin([(each, (HMAC_KEY,)) for each in planned[:-1]])

    here.run(plan(), stop_after=5.0)
    assert refused == [False]
    assert here.begun == sorted(here.recorded) == list(NAMES[: HELD - 1])
