"""Guarantees of pipeline.patience, in virtual time."""

import asyncio

import pytest

from pipeline.patience import BACK_OFF_SECONDS, first_of, jittered_back_off, wait_until
from tests.support.clock import run_virtual


@pytest.mark.parametrize(("set_after", "waited"), [(None, 10.0), (3.0, 3.0)])
def test_waiting_for_an_event_ends_without_it_too(set_after: float | None, waited: float) -> None:
    async def main() -> float:
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        if set_after is not None:
            loop.call_later(set_after, event.set)
        await wait_until(event, 10.0)
        return loop.time()

    assert run_virtual(main()) == waited


@pytest.mark.parametrize(("set_after", "waited"), [((), 10.0), ((3.0,), 3.0), ((5.0, 4.0), 4.0)])
def test_the_first_of_several_events_ends_the_wait_and_leaves_nothing_behind(
    set_after: tuple[float, ...], waited: float
) -> None:
    async def main() -> float:
        events, loop = [asyncio.Event(), asyncio.Event()], asyncio.get_running_loop()
        for event, seconds in zip(events, set_after, strict=False):
            loop.call_later(seconds, event.set)
        await first_of(*events, seconds=10.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return loop.time()

    assert run_virtual(main()) == waited


def test_back_off_stays_in_its_band() -> None:
    """Processes that failed together do not come back together, nor late."""
    least, most = BACK_OFF_SECONDS
    drawn = {jittered_back_off() for _ in range(100)}
    assert len(drawn) > 1
    assert all(least <= seconds <= most for seconds in drawn)
