"""Guarantees of pipeline.worker.budget."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from pipeline.worker.budget import Budget


def watched(limit: int, tenant_share: float = 1.0) -> tuple[Budget, list[int]]:
    seen: list[int] = []
    return Budget(limit, seen.append, tenant_share=tenant_share), seen


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_hold_waits_while_the_budget_is_full_and_goes_on_when_it_is_given_back() -> None:
    """What is held never exceeds the limit, and what is given back is used."""
    budget, seen = watched(10)
    admitted = asyncio.Event()

    async def second() -> None:
        async with budget.hold(6, "a"):
            admitted.set()

    async with asyncio.TaskGroup() as tasks:
        async with budget.hold(5, "a"):
            tasks.create_task(second())
            await turns()
            assert not admitted.is_set()
        await admitted.wait()
    assert max(seen) <= 10
    assert seen[-1] == 0


async def test_hold_admits_alone_what_is_larger_than_the_whole_budget() -> None:
    """No job waits for ever because it is large."""
    budget, seen = watched(10)
    async with budget.hold(1000, "a"):
        assert seen[-1] == 1000
    assert seen[-1] == 0


async def test_shrink_lets_the_next_in_before_the_first_has_ended() -> None:
    """A reservation for the worst case costs others nothing once the truth is known."""
    budget, seen = watched(10)
    async with budget.hold(10, "a") as first:
        first.shrink(3)
        async with budget.hold(7, "a"):
            assert seen[-1] == 10
    assert seen[-1] == 0


async def test_shrink_never_takes_more_than_was_held() -> None:
    """A job that turns out larger than it reserved keeps its reservation: growing could block for ever."""
    budget, seen = watched(10)
    async with budget.hold(4, "a") as held:
        held.shrink(9)
        assert seen[-1] == 4
    assert seen[-1] == 0


async def test_hold_admits_in_turn_although_a_later_one_would_fit() -> None:
    """A large picture is not starved by the small ones behind it."""
    budget, _ = watched(10)
    order: list[str] = []

    async def take(name: str, amount: int) -> None:
        async with budget.hold(amount, "a"):
            order.append(name)

    async with asyncio.TaskGroup() as tasks, budget.hold(8, "a"):
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
        await stack.enter_async_context(budget.hold(10, "a"))
        waiting = asyncio.ensure_future(AsyncExitStack().enter_async_context(budget.hold(5, "a")))
        await turns()
        if admitted_first:
            await stack.aclose()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert seen[-1] == 0
    async with budget.hold(10, "a"):
        assert seen[-1] == 10


async def test_tenant_at_its_share_lets_others_in_before_more_of_its_own() -> None:
    """Whoever sent a thousand pictures first does not make the next tenant wait for all of them."""
    budget, _ = watched(10, tenant_share=0.5)
    order: list[str] = []

    async def take(tenant: str, amount: int) -> None:
        async with budget.hold(amount, tenant):
            order.append(tenant)

    async with asyncio.TaskGroup() as tasks, budget.hold(6, "flood"):
        async with budget.hold(4, "flood"):
            for tenant in ("flood", "flood", "other"):
                tasks.create_task(take(tenant, 4))
                await turns()
            assert order == []
        await turns()
        assert order[0] == "other"
    assert order == ["other", "flood", "flood"]


async def test_tenant_alone_may_hold_the_whole_budget() -> None:
    """Nothing is kept free for nobody."""
    budget, seen = watched(10, tenant_share=0.2)
    async with budget.hold(5, "only"), budget.hold(5, "only"):
        assert seen[-1] == 10


async def test_budget_is_given_out_when_all_who_wait_are_at_their_share() -> None:
    """A share is no reason to leave room unused."""
    budget, seen = watched(10, tenant_share=0.4)
    admitted: list[str] = []

    async def take(tenant: str) -> None:
        async with budget.hold(2, tenant):
            admitted.append(tenant)

    async with asyncio.TaskGroup() as tasks, budget.hold(4, "a"), budget.hold(4, "b"):
        async with budget.hold(2, "c"):
            tasks.create_task(take("a"))
            tasks.create_task(take("b"))
            await turns()
            assert admitted == []
        await turns()
        assert admitted == ["a", "b"]
    assert seen[-1] == 0


async def test_large_picture_of_a_tenant_is_not_overtaken_by_its_small_ones() -> None:
    """It waits for what its tenant holds now, and not for what comes after it."""
    budget, _ = watched(10, tenant_share=0.5)
    order: list[int] = []

    async def take(amount: int) -> None:
        async with budget.hold(amount, "a"):
            order.append(amount)

    async with asyncio.TaskGroup() as tasks, budget.hold(7, "b"), budget.hold(1, "a"):
        tasks.create_task(take(8))
        await turns()
        tasks.create_task(take(1))
        await turns()
        assert order == []
    assert order == [8, 1]
