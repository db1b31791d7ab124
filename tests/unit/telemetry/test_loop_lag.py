"""The loop's lateness is measured against one raster that does not drift."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.loop_lag import INTERVAL_SECONDS, STUCK_SECONDS, LoopLag, next_due
from tests.support.exposition import sample

TIMES = st.floats(0, 1e6)


class _Loop:
    """A clock and a sleep of which each wakes late by the next of `delays`; then it sleeps for ever."""

    def __init__(self, delays: list[float]) -> None:
        self.time = 100.0
        self.delays = delays
        self.asleep = asyncio.Event()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        if not self.delays:
            self.asleep.set()
            await asyncio.Event().wait()
        self.time += seconds + self.delays.pop(0)


async def test_lag_of_every_tick_is_recorded() -> None:
    """The histogram's sum is the sum of the delays: a late tick does not make the next one late."""
    count, total = sample("upscale_event_loop_lag_seconds_count"), sample("upscale_event_loop_lag_seconds_sum")
    loop = _Loop([0.0, 0.05, 0.0, 2.0, 0.0])
    async with LoopLag(now=loop.now, sleep=loop.sleep):
        await loop.asleep.wait()
    assert sample("upscale_event_loop_lag_seconds_count") - count == 5
    assert sample("upscale_event_loop_lag_seconds_sum") - total == pytest.approx(2.05)


async def test_stuck_says_by_how_much() -> None:
    """Above the limit the reason names limit and value; below it there is none."""
    loop = _Loop([0.0])
    async with LoopLag(now=loop.now, sleep=loop.sleep) as lag:
        await loop.asleep.wait()
        loop.time += STUCK_SECONDS
        assert lag.stuck() is None
        loop.time += 1.5
        assert lag.stuck() == "event loop: limit 5 s, late by 6.5 s"


async def test_timer_ends_with_its_block() -> None:
    """Nothing is left running on the loop."""
    before = asyncio.all_tasks()
    async with LoopLag():
        assert len(asyncio.all_tasks()) == len(before) + 1
    assert asyncio.all_tasks() == before


@given(TIMES, st.floats(0, 1e4))
def test_next_tick_is_the_first_of_the_raster_ahead(due: float, late: float) -> None:
    """Never in the past, never more than an interval away, always a whole number of intervals on."""
    ahead = next_due(due, due + late)
    assert -1e-6 < ahead - (due + late) <= INTERVAL_SECONDS + 1e-6
    assert (ahead - due) / INTERVAL_SECONDS == pytest.approx(round((ahead - due) / INTERVAL_SECONDS))
