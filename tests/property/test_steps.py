"""Whatever becomes of jobs side by side, what they held of the budgets is given back, and given back once."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import JobExpired, JobFailed
from pipeline.worker.outcome import Done
from pipeline.worker.rooms import Rooms
from pipeline.worker.steps import do
from schemas.failures import FailureCode
from schemas.stages import Stage
from tests.support.clock import run_virtual
from tests.support.rooms import BEGUN, MAX_BYTES, MAX_PIXELS, Script, ScriptedRooms, make_job

STAGES = (Stage.FETCH, Stage.DECODE, Stage.INFER, Stage.STORE)
TICKS = st.integers(0, 12).map(lambda ticks: ticks / 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """One job as planned."""

    arrives: float
    script: Script
    deadline: float | None
    cancelled: float | None

    @property
    def ends(self) -> bool:
        """A store that stays away is waited for, for ever unless somebody puts an end to it."""
        away = isinstance(self.script.errors.get(Stage.STORE), TimeoutError)
        return not away or self.deadline is not None or self.cancelled is not None


PLANS = st.builds(
    Plan,
    arrives=TICKS,
    script=st.builds(
        Script,
        seconds=st.dictionaries(st.sampled_from(STAGES), TICKS),
        errors=st.dictionaries(
            st.sampled_from(STAGES),
            st.sampled_from([JobFailed(FailureCode.SOURCE_STATUS, "no"), TimeoutError(), ZeroDivisionError()]),
            max_size=1,
        ),
    ),
    deadline=st.none() | TICKS,
    cancelled=st.none() | TICKS,
).filter(lambda plan: plan.ends)


async def _one(number: int, plan: Plan, rooms: Rooms) -> Done | BaseException:
    await asyncio.sleep(plan.arrives)
    working = asyncio.create_task(do(make_job(number, deadline=plan.deadline), BEGUN, rooms))
    if plan.cancelled is not None:
        asyncio.get_running_loop().call_later(plan.cancelled, working.cancel)
    return (await asyncio.gather(working, return_exceptions=True))[0]


@given(st.lists(PLANS, min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_budgets_are_given_back_exactly_once_on_success_failure_expiry_and_cancellation(
    plans: list[Plan], budget: int
) -> None:
    """In use is never negative, never beyond the limit, and nothing in the end; nobody expires without a deadline."""
    scene = ScriptedRooms({number: plan.script for number, plan in enumerate(plans, 1)})

    async def all_of_them() -> list[Done | BaseException]:
        async with scene.open(budget=budget) as rooms:
            jobs = (_one(number, plan, rooms) for number, plan in enumerate(plans, 1))
            return await asyncio.gather(*jobs)

    outcomes = run_virtual(all_of_them())

    for seen, limit in ((scene.bytes, budget * MAX_BYTES), (scene.pixels, budget * MAX_PIXELS)):
        assert seen[-1] == 0
        assert min(seen) >= 0
        assert max(seen) <= limit
    for plan, outcome in zip(plans, outcomes, strict=True):
        assert not isinstance(outcome, JobExpired) or plan.deadline is not None
        assert not isinstance(outcome, asyncio.CancelledError) or plan.cancelled is not None
    assert len(scene.store.objects) >= sum(isinstance(outcome, Done) for outcome in outcomes)
