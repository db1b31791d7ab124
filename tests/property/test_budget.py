"""Whatever jobs come, go and are cancelled: the budget is kept, shared, and everybody's turn comes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.worker.budget import Budget

LIMIT = 10
SHARE = 0.5
ARRIVALS = st.tuples(st.just("arrive"), st.sampled_from("abc"), st.integers(1, 12))
DEPARTURES = st.tuples(st.sampled_from(["leave", "cancel"]), st.just(""), st.integers(0, 30))
HISTORIES = st.lists(st.one_of(ARRIVALS, ARRIVALS, DEPARTURES), max_size=40)
"""What happens, to whom, and an amount or which one."""


@dataclass(eq=False)
class Job:
    tenant: str
    amount: int
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    admitted: bool = False


class Scene:
    """Jobs on one budget; checks what must hold at each admission."""

    def __init__(self) -> None:
        self.budget = Budget(LIMIT, lambda _: None, tenant_share=SHARE)
        self.tasks: dict[Job, asyncio.Task[None]] = {}
        self.held: list[Job] = []
        self.waiting: list[Job] = []

    async def play(self, happening: tuple[str, str, int]) -> None:
        what, tenant, number = happening
        if what == "arrive":
            job = Job(tenant, number)
            self.waiting.append(job)
            self.tasks[job] = asyncio.create_task(self._run(job))
        elif what == "leave" and self.held:
            self.held[number % len(self.held)].leave.set()
        elif what == "cancel" and self.waiting:
            job = self.waiting.pop(number % len(self.waiting))
            self.tasks[job].cancel()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def _run(self, job: Job) -> None:
        async with self.budget.hold(job.amount, job.tenant):
            self._admitted(job)
            try:
                await job.leave.wait()
            finally:
                self.held.remove(job)

    def _admitted(self, job: Job) -> None:
        """Called in the order of admission, with `held` as it was before."""
        used = Counter[str]()
        for each in self.held:
            used[each.tenant] += each.amount
        assert not self.held or used.total() + job.amount <= LIMIT
        first: dict[str, Job] = {}
        for each in self.waiting:
            first.setdefault(each.tenant, each)
        assert first[job.tenant] is job, "overtaken by one of its own tenant"
        within = [each for each in first.values() if not used[each.tenant] or _fits(used, each)]
        assert job is (within or list(first.values()))[0]
        job.admitted = True
        self.waiting.remove(job)
        self.held.append(job)


def _fits(used: Counter[str], job: Job) -> bool:
    return used[job.tenant] + job.amount <= LIMIT * SHARE


async def _play(history: Sequence[tuple[str, str, int]]) -> None:
    scene = Scene()
    for happening in history:
        await scene.play(happening)
        assert scene.held or not scene.waiting, "nothing is held and somebody waits"
    for _ in range(len(scene.tasks)):
        for job in scene.held[:1]:
            job.leave.set()
        await scene.settle()
    assert not scene.waiting
    await asyncio.gather(*scene.tasks.values(), return_exceptions=True)
    failed = [task.exception() for task in scene.tasks.values() if not task.cancelled() and task.exception()]
    assert failed == []


@settings(max_examples=150, deadline=None)
@given(HISTORIES)
def test_budget_is_kept_shared_by_turn_and_everybody_is_admitted_in_the_end(
    history: list[tuple[str, str, int]],
) -> None:
    """Over the limit is one alone; beyond its share goes no tenant before one within; no deadlock, no starving."""
    asyncio.run(_play(history))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 12))
def test_tenant_that_holds_nothing_is_overtaken_by_nobody_who_came_later(flood: list[int], amount: int) -> None:
    """However much another tenant sends, and goes on sending."""

    async def play() -> None:
        scene = Scene()
        for each in flood:
            await scene.play(("arrive", "a", each))
        await scene.play(("arrive", "b", amount))
        quiet = next(reversed(scene.tasks))
        while not quiet.admitted:
            await scene.play(("arrive", "a", 1))
            assert not next(reversed(scene.tasks)).admitted
            await scene.play(("leave", "", 0))
        for task in scene.tasks.values():
            task.cancel()
        await asyncio.gather(*scene.tasks.values(), return_exceptions=True)

    asyncio.run(play())
