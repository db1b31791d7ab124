"""A process stops in one order, waits as long as it was told, and says by its exit code how it went."""

import asyncio
import os
import signal

import pytest

from pipeline.lifecycle import Exit, Lifecycle, State, signals, stop_requested

LONG = 30.0


async def _done() -> None:
    """Nothing is in hand."""


def test_lifecycle_is_ready_only_between_start_and_stop() -> None:
    """Readiness is what deployments wait for and what routes work away from a stopping process."""
    lifecycle = Lifecycle()
    assert (lifecycle.state, lifecycle.not_ready()) == (State.STARTING, "starting")
    lifecycle.ready()
    assert (lifecycle.state, lifecycle.not_ready()) == (State.READY, None)
    lifecycle.signal()
    assert (lifecycle.state, lifecycle.not_ready()) == (State.DRAINING, "draining")
    lifecycle.ready()
    assert lifecycle.state is State.DRAINING


def test_lifecycle_keeps_the_first_reason_of_a_failure() -> None:
    """What broke first is the cause; what came after is debris. A later signal does not make it clean."""
    lifecycle = Lifecycle()
    assert lifecycle.failed() is None
    lifecycle.fail("the device is gone")
    lifecycle.fail("a waiter was told so")
    lifecycle.signal()
    assert (lifecycle.state, lifecycle.failed()) == (State.FAILED, "the device is gone")
    assert lifecycle.not_ready() == "the device is gone"


async def test_failing_stops_the_process() -> None:
    """Whoever waits for the stop is woken by a failure too."""
    lifecycle = Lifecycle()
    lifecycle.fail("the device is gone")
    await asyncio.wait_for(lifecycle.stopping(), LONG)


async def test_drain_stops_intake_before_it_waits() -> None:
    """Otherwise work comes in faster than it ends."""
    order: list[str] = []
    lifecycle = Lifecycle()

    async def work() -> None:
        order.append(f"work while {lifecycle.state}")

    code = await lifecycle.drain(work(), stop_intake=lambda: order.append(f"intake {lifecycle.state}"), seconds=LONG)
    assert code is Exit.CLEAN
    assert order == ["intake draining", "work while draining"]


async def test_drain_gives_up_at_the_limit_and_cancels_what_is_left() -> None:
    """The orchestrator kills what has not ended by then; better to close in good order before."""
    canceled = asyncio.Event()

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    assert await Lifecycle().drain(stuck(), stop_intake=lambda: None, seconds=0.01) is Exit.DRAIN_INCOMPLETE
    assert canceled.is_set()


async def test_second_signal_ends_the_wait() -> None:
    """Whoever asks twice does not want to wait."""
    lifecycle = Lifecycle()
    lifecycle.signal()
    code = await asyncio.wait_for(lifecycle.drain(_never(), stop_intake=lifecycle.signal, seconds=LONG), LONG)
    assert code is Exit.DRAIN_INCOMPLETE


async def test_drain_after_a_failure_is_not_clean() -> None:
    """The exit code tells the supervisor that something is wrong even when nothing was lost."""
    lifecycle = Lifecycle()
    lifecycle.fail("the device is gone")
    assert await lifecycle.drain(_done(), stop_intake=lambda: None, seconds=LONG) is Exit.INTERNAL


async def test_drain_raises_what_the_work_raises() -> None:
    """A crash while stopping is a crash."""

    async def crash() -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await Lifecycle().drain(crash(), stop_intake=lambda: None, seconds=LONG)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_move_the_lifecycle(number: signal.Signals) -> None:
    """First stop, then give up: by the real signals."""
    lifecycle = Lifecycle()
    with signals(lifecycle.signal):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(lifecycle.stopping(), LONG)
        code = await lifecycle.drain(_never(), stop_intake=lambda: os.kill(os.getpid(), number), seconds=LONG)
    assert code is Exit.DRAIN_INCOMPLETE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_requested_is_set_by_the_first_signal(number: signal.Signals) -> None:
    """For commands that hold nothing worth draining."""
    async with stop_requested() as stop:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), LONG)


async def test_signals_are_given_back() -> None:
    """Afterwards Ctrl-C does again what it did before."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with signals(lambda: None):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_exit_codes_are_the_same_for_ever() -> None:
    """Pinned: supervisors and scripts compare them."""
    assert {code.name: code.value for code in Exit} == {
        "CLEAN": 0,
        "CANNOT_START": 1,
        "USAGE": 2,
        "DRAIN_INCOMPLETE": 3,
        "INTERNAL": 70,
    }


async def _never() -> None:
    await asyncio.Event().wait()
