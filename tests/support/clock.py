"""Time that moves when told: a clock to read, and an event loop whose sleeps take no time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

LONGEST_SECONDS = 1e6
"""Of any test; those that move days of time use `FakeClock`."""


class FakeClock:
    """A clock to pass where a `now` is wanted."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next timer as soon as nothing can run.

    A deadlock, where every task waits and no timer is set, raises `RuntimeError` instead of hanging; so does a time
    beyond `LONGEST_SECONDS`, where somebody looks again and again for what does not come. What is given to
    a thread runs at once and takes no time either, since time would not wait for it.
    """

    def __init__(self, at_rest: Callable[[], None] | None = None) -> None:
        self._jumping = _JumpingSelector(at_rest or (lambda: None))
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], T], *args: *Arguments
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, at_rest: Callable[[], None]) -> None:
        super().__init__()
        self.now = 0.0
        self._at_rest = at_rest

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        self._at_rest()
        if timeout is None:
            raise RuntimeError("deadlock: every task waits and no timer is set")
        self.now += timeout
        if self.now > LONGEST_SECONDS:
            raise RuntimeError(f"livelock: {LONGEST_SECONDS:g} s have passed and timers are all that happens")
        return ready


def run_virtual(main: Coroutine[Any, Any, T], *, at_rest: Callable[[], None] | None = None) -> T:
    """Run `main` in virtual time. `at_rest` is called whenever nothing can run before time moves."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(at_rest)) as runner:
        return runner.run(main)
