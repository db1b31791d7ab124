"""The breaker under any outages, callers and failures of their own."""

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.worker.breaker import LONGEST_PAUSE_SECONDS, Breaker
from schemas.failures import FailureCode
from tests.support.clock import run_virtual

AWAY = FailureCode.BROKER_UNAVAILABLE
LAST = 100.0
"""Outages are over by then."""


@dataclass(frozen=True, slots=True)
class Caller:
    number: int
    arrives: float
    takes: float
    own_failure: bool


SECONDS = st.floats(0.0, 50.0)
CALLERS = st.lists(st.tuples(SECONDS, st.floats(0.001, 1.0), st.booleans()), min_size=1, max_size=12).map(
    lambda drawn: [Caller(number, *facts) for number, facts in enumerate(drawn)]
)
OUTAGES = st.lists(st.tuples(SECONDS, SECONDS), max_size=3)


@given(CALLERS, OUTAGES)
def test_every_caller_gets_its_own_answer_and_one_at_a_time_probes(
    callers: list[Caller], outages: list[tuple[float, float]]
) -> None:
    """None is lost, none gets another's answer, and none hears of the outage; the end finds the breaker closed."""
    probing = 0
    breaker = Breaker("test", AWAY, changed=lambda: None)

    async def operation(caller: Caller) -> int:
        nonlocal probing
        now = asyncio.get_running_loop().time()
        is_probe = breaker.open
        probing += is_probe
        assert probing <= 1
        await asyncio.sleep(caller.takes)
        probing -= is_probe
        if any(start <= now < start + length for start, length in outages):
            raise JobFailed(AWAY, "the broker does not answer")
        if caller.own_failure:
            raise JobFailed(FailureCode.INTERNAL, str(caller.number))
        return caller.number

    async def call(caller: Caller) -> str:
        await asyncio.sleep(caller.arrives)
        try:
            return str(await breaker.call(lambda: operation(caller)))
        except JobFailed as failed:
            return failed.message

    async def all_of_them() -> list[str]:
        async with asyncio.timeout(LAST + LONGEST_PAUSE_SECONDS * len(callers) + 20):
            return await asyncio.gather(*map(call, callers))

    assert run_virtual(all_of_them()) == [str(caller.number) for caller in callers]
    assert not breaker.open
