"""Guarantees of pipeline.worker.budget."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from pipeline.worker.budget import Budget


def watched(limit: int) -> tuple[Budget, list[int]]:
    seen: list[int] = []
    return Budget(limit, seen.append), seen


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_hold_waits_while_the_budget_is_full_and_goes_on_when_it_is_given_back() -> None:
    """What is held never exceeds the limit, and what is given back is used."""
    budget, seen = watched(10)
    admitted = asyncio.Event()

    async def second() -> None:
        async with budget.hold(6):
            admitted.set()

    async with asyncio.TaskGroup() as tasks:
        async with budget.hold(5):
            tasks.create_task(second())
            await turns()
            assert not admitted.is_set()
        await admitted.wait()
    assert max(seen) <= 10
    assert seen[-1] == 0


async def test_hold_admits_alone_what_is_larger_than_the_whole_budget() -> None:
    """No job waits for ever because it is large."""
    budget, seen = watched(10)
    async with budget.hold(1000):
        assert seen[-1] == 1000
    assert seen[-1] == 0


async def test_shrink_lets_the_next_in_before_the_first_has_ended() -> None:
    """A reservation for the worst case costs others nothing once the truth is known."""
    budget, seen = watched(10)
    async with budget.hold(10) as first:
        first.shrink(3)
        async with budget.hold(7):
            assert seen[-1] == 10
    assert seen[-1] == 0


async def test_shrink_never_takes_more_than_was_held() -> None:
    """A job that turns out larger than it reserved keeps its reservation: growing could block for ever."""
    budget, seen = watched(10)
    async with budget.hold(4) as held:
        held.shrink(9)
        assert seen[-1] == 4
    assert seen[-1] == 0


async def test_hold_admits_in_turn_although_a_later_one_would_fit() -> None:
    """A large picture is not starved by the small ones behind it."""
    budget, _ = watched(10)
    order: list[str] = []

    async def take(name: str, amount: int) -> None:
        async with budget.hold(amount):
            order.append(name)

    async with asyncio.TaskGroup() as tasks, budget.hold(8):
        tasks.create_task(take("large", 9))
        await turns()
        tasks.create_task(take("small", 1))
        await turns()
        assert order == []
    assert order == ["large", "small"]


@pytest.mark.parametrize("admitted_first", [True, False])
async def test_cancelled_hold_gives_back_what_it_had_or_was_about_to_get(admitted_first: bool) -> None:
    """Cancelling a job at any moment leaks nothing of the budget."""
    budget, seen = watched(10)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(budget.hold(10))
        waiting = asyncio.ensure_future(AsyncExitStack().enter_async_context(budget.hold(5)))
        await turns()
        if admitted_first:
            await stack.aclose()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert seen[-1] == 0
    async with budget.hold(10):
        assert seen[-1] == 10
