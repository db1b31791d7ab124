"""The batcher under any traffic: arrivals, cancellations, deadlines, failing launches, closing."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batching.batch import Batcher
from pipeline.batching.work import TileBatch, TilePixels, TileWork
from pipeline.errors import JobExpired, JobFailed, ShuttingDown
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.clock import run_virtual
from tests.support.device import LARGE, SMALL, FakeDevice, make_work, mark, upscale

LIMITS = {SMALL: 3, LARGE: 2}
QUARTERS = st.integers(0, 24).map(lambda quarters: quarters / 4)


@dataclass(frozen=True, slots=True)
class Visit:
    """One submission as planned."""

    arrives: float
    work: TileWork
    leaves: float | None
    """When the caller loses patience."""


@dataclass(slots=True)
class Traffic:
    """A plan, and what came of it."""

    visits: list[Visit]
    failing: set[int]
    """Numbers of the launches that fail."""
    short: set[int]
    """Numbers of the launches that lose a tile."""
    slots: int
    closes: float | None
    device: FakeDevice = field(default_factory=FakeDevice)
    outcomes: dict[int, tuple[TilePixels, ...] | BaseException] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    submitted: set[int] = field(default_factory=set)

    def answer(self, number: int, batch: TileBatch) -> Sequence[TilePixels]:
        if number in self.failing:
            raise JobFailed(FailureCode.DEVICE_FAILED, "the device failed")
        return [upscale(tile) for tile in batch.tiles][number in self.short :]

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        self.device.answer = self.answer
        async with Batcher(self.device.run, LIMITS.__getitem__, slots=self.slots, now=loop.time) as batcher:
            callers = [
                asyncio.create_task(self._visit(batcher, number, visit)) for number, visit in enumerate(self.visits)
            ]
            if self.closes is None:
                await asyncio.gather(*callers)
            else:
                await asyncio.sleep(self.closes)
        await asyncio.gather(*callers)

    async def _visit(self, batcher: Batcher, number: int, visit: Visit) -> None:
        await asyncio.sleep(visit.arrives)
        self.submitted.add(number)
        try:
            async with asyncio.timeout_at(visit.leaves):
                outcome: tuple[TilePixels, ...] | BaseException = await batcher.submit(visit.work)
        except (JobFailed, ShuttingDown, TimeoutError) as error:
            outcome = error
        assert number not in self.outcomes
        self.outcomes[number] = outcome
        self.ended[number] = asyncio.get_running_loop().time()

    def check_busy(self) -> None:
        """Called when nothing can run: a tile that waits means that every slot is taken."""
        launched = Counter(number for launch in self.device.launches for number, _ in launch.marks)
        waiting = [
            number
            for number in self.submitted - self.outcomes.keys()
            if launched[number] < len(self.visits[number].work.tiles)
        ]
        assert not waiting or self.device.running == self.slots


@st.composite
def visits(draw: st.DrawFn, number: int) -> Visit:
    arrives = draw(QUARTERS)
    work = make_work(
        number,
        draw(st.integers(1, 8)),
        key=draw(st.sampled_from([SMALL, SMALL, LARGE])),
        lane=draw(st.sampled_from(Lane)),
        tenant=draw(st.sampled_from(["acme", "zeta"])),
        deadline=draw(st.none() | QUARTERS.map(lambda wait: arrives + wait - 0.25)),
    )
    return Visit(arrives, work, draw(st.none() | QUARTERS.map(lambda wait: arrives + wait + 0.25)))


@st.composite
def traffics(draw: st.DrawFn, *, trouble: bool = True) -> Traffic:
    numbers = st.sets(st.integers(0, 12), max_size=3) if trouble else st.just(set[int]())
    planned = [draw(visits(number)) for number in range(draw(st.integers(1, 8)))]
    closes = draw(st.none() | QUARTERS) if trouble else None
    return Traffic(planned, draw(numbers), draw(numbers), draw(st.integers(1, 3)), closes)


@given(traffics())
@settings(max_examples=200, deadline=None)
def test_batcher_keeps_its_promises_under_any_traffic(traffic: Traffic) -> None:
    """Every promise that does not depend on what is asked; a waiter left unanswered is a deadlock, and raises."""
    run_virtual(traffic.play(), at_rest=traffic.check_busy)
    _everyone_is_answered_once(traffic)
    _launches_are_of_one_key_and_within_limits(traffic)
    _tiles_are_launched_once_and_in_order(traffic)
    _who_left_or_expired_is_not_launched(traffic)


def _everyone_is_answered_once(traffic: Traffic) -> None:
    assert traffic.outcomes.keys() == set(range(len(traffic.visits)))
    failures = [outcome for outcome in traffic.outcomes.values() if isinstance(outcome, BaseException)]
    assert len({id(failure) for failure in failures}) == len(failures)
    for number, outcome in traffic.outcomes.items():
        work = traffic.visits[number].work
        if isinstance(outcome, tuple):
            assert [mark(tile) for tile in outcome] == [(number, index) for index in range(len(work.tiles))]
            assert {tile.shape for tile in outcome} == {(2 * work.key.height, 2 * work.key.width, 3)}
        elif isinstance(outcome, JobExpired):
            assert work.deadline is not None
            assert work.deadline <= traffic.ended[number]
        elif isinstance(outcome, JobFailed):
            assert traffic.failing | traffic.short
        elif isinstance(outcome, ShuttingDown):
            assert traffic.closes is not None


def _launches_are_of_one_key_and_within_limits(traffic: Traffic) -> None:
    for launch in traffic.device.launches:
        key = launch.batch.key
        assert 1 <= len(launch.marks) <= LIMITS[key]
        assert {traffic.visits[number].work.key for number, _ in launch.marks} == {key}
        assert {tile.shape for tile in launch.batch.tiles} == {(key.height, key.width, 3)}
        assert launch.batch.jobs == len({number for number, _ in launch.marks})


def _tiles_are_launched_once_and_in_order(traffic: Traffic) -> None:
    for number in range(len(traffic.visits)):
        indices = [index for launch in traffic.device.launches for each, index in launch.marks if each == number]
        assert indices == list(range(len(indices)))


def _who_left_or_expired_is_not_launched(traffic: Traffic) -> None:
    for launch in traffic.device.launches:
        for number in {number for number, _ in launch.marks}:
            deadline = traffic.visits[number].work.deadline
            assert deadline is None or launch.at < deadline
            assert launch.at <= traffic.ended[number]


@given(traffics(trouble=False))
@settings(max_examples=50, deadline=None)
def test_batcher_fails_nobody_when_nothing_goes_wrong(traffic: Traffic) -> None:
    """Without failing launches or closing, each waiter has its tiles, or its own deadline or patience ran out."""
    run_virtual(traffic.play(), at_rest=traffic.check_busy)
    assert all(isinstance(outcome, tuple | JobExpired | TimeoutError) for outcome in traffic.outcomes.values())
