"""Guarantees of pipeline.worker.breaker."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pipeline.errors import JobFailed
from pipeline.worker.breaker import LONGEST_PAUSE_SECONDS, Breaker, longest_pause
from schemas.failures import FailureCode
from tests.support.clock import run_virtual
from tests.support.exposition import sample

AWAY = FailureCode.STORE_UNAVAILABLE


class Outage:
    """A service that is away until `ends`, and what the breaker before it said of itself."""

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.asked: list[float] = []
        self.changes: list[bool] = []
        self.breaker = Breaker("test", AWAY, changed=lambda: self.changes.append(self.breaker.open))

    async def ask(self) -> float:
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        await asyncio.sleep(0.001)
        if now < self.ends:
            raise JobFailed(AWAY, "the object store does not answer")
        return now


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def operation() -> None:
        raise error

    return operation


async def test_breaker_asks_nothing_of_a_service_that_answers() -> None:
    """A healthy service costs no wait and no word."""
    outage = Outage(ends=0.0)
    await outage.breaker.call(outage.ask)
    assert (len(outage.asked), outage.changes) == (1, [])


def test_call_outlasts_the_outage_and_gets_its_answer() -> None:
    """The outage costs time, and no attempt of the job."""
    outage = Outage(ends=60.0)
    assert run_virtual(outage.breaker.call(outage.ask)) >= 60.0
    assert outage.changes == [True, False]


def test_pauses_between_questions_grow_to_their_limit() -> None:
    """A service that wants to come up is not kept down, and one that is up is noticed within the longest pause."""
    outage = Outage(ends=120.0)
    answered = run_virtual(outage.breaker.call(outage.ask))
    pauses = [later - earlier for earlier, later in zip(outage.asked, outage.asked[1:], strict=False)]
    assert pauses[0] < 1.0 < pauses[-1]
    assert max(pauses) <= LONGEST_PAUSE_SECONDS + 0.01
    assert answered < 120.0 + LONGEST_PAUSE_SECONDS + 0.01


def test_many_callers_that_meet_the_outage_together_are_one_failure() -> None:
    """How long to wait before the next question does not depend on how much work was in hand."""

    async def together() -> None:
        await asyncio.gather(*(outage.breaker.call(outage.ask) for _ in range(50)))

    outage = Outage(ends=1.0)
    run_virtual(together())
    first, second, *_ = outage.asked[50:]
    assert (first <= 0.51, second - first <= 1.01) == (True, True)


def test_callers_that_wait_go_on_together_at_the_first_answer() -> None:
    """Only one of them knocks; the rest of the backlog does not queue up behind its probes."""

    async def together() -> list[float]:
        return await asyncio.gather(*(outage.breaker.call(outage.ask) for _ in range(20)))

    outage = Outage(ends=30.0)
    answers = run_virtual(together())
    assert max(answers) - min(answers) < 0.1


@pytest.mark.parametrize("error", [JobFailed(FailureCode.SOURCE_STATUS, "source: status 404"), RuntimeError("a bug")])
async def test_other_failure_passes_through_and_opens_nothing(error: Exception) -> None:
    """It says nothing of the service, and its job is to end with it."""
    outage = Outage(ends=0.0)
    with pytest.raises(type(error)) as raised:
        await outage.breaker.call(raising(error))
    assert raised.value is error
    assert outage.changes == []


@pytest.mark.parametrize("error", [JobFailed(FailureCode.INTERNAL, "refused"), RuntimeError("a bug")])
def test_probe_that_fails_otherwise_leaves_the_breaker_closed(error: Exception) -> None:
    """Its caller leaves, and might have been the last to wait: the worker would take no record ever again."""

    async def outage_then_error() -> None:
        errors = [JobFailed(AWAY, "the object store does not answer"), error]

        async def next_error() -> None:
            raise errors.pop(0)

        with pytest.raises(type(error)):
            await outage.breaker.call(next_error)

    outage = Outage(ends=0.0)
    run_virtual(outage_then_error())
    assert outage.changes == [True, False]


def test_caller_that_is_called_off_leaves_the_probing_to_the_next() -> None:
    """A job whose deadline passes meanwhile does not take the others' only question along."""

    async def leave() -> float:
        async with asyncio.timeout(5.0):
            await outage.breaker.call(outage.ask)
        return 0.0

    async def together() -> list[float | BaseException]:
        return await asyncio.gather(leave(), outage.breaker.call(outage.ask), return_exceptions=True)

    outage = Outage(ends=20.0)
    left, answered = run_virtual(together())
    assert isinstance(left, TimeoutError)
    assert isinstance(answered, float)
    assert not outage.breaker.open


def test_operator_sees_the_outage_while_it_lasts() -> None:
    """One gauge for each service."""
    seen: list[float] = []

    def changed() -> None:
        seen.append(sample("upscale_breaker_open", service="gauged"))

    breaker = Breaker("gauged", AWAY, changed=changed)
    outage = Outage(ends=3.0)
    run_virtual(breaker.call(outage.ask))
    assert seen == [1.0, 0.0]


@pytest.mark.parametrize("failures", [1, 2, 5, 100, 10**6])
def test_pause_stays_within_its_bounds(failures: int) -> None:
    """However long the service has been away."""
    assert 0.5 <= longest_pause(failures) <= LONGEST_PAUSE_SECONDS
