"""Start, ready, drain against a deadline, close: the states of a process, and the signals that move it.

The order of a stop is fixed: readiness goes, intake stops, what is in hand gets its time, and only then the resources
close, innermost first, as their `async with` blocks end. Closing earlier would take the store from under a job.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import IntEnum, StrEnum

import structlog

log = structlog.get_logger()

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class State(StrEnum):
    """What a process is doing, as /ready reports it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Exit(IntEnum):
    """Exit codes of every command; docs/operations.md says what to do about each."""

    CLEAN = 0
    """Asked to stop, and nothing was left undone."""
    CANNOT_START = 1
    """A setting is wrong, or a service it needs is not there; one line on stderr says which."""
    USAGE = 2
    """The command line is wrong."""
    DRAIN_INCOMPLETE = 3
    """Stopped with jobs in hand; they are uncommitted and done elsewhere."""
    INTERNAL = 70
    """An error of the program, a device that is dead, or a broker that stayed away; the log has the details."""


class Lifecycle:
    """The state of this process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._reason = ""
        self._stop = asyncio.Event()
        self._give_up = asyncio.Event()

    @property
    def state(self) -> State:
        return self._state

    def ready(self) -> None:
        """All that was started works. Comes too late once a stop was asked for."""
        if self._state is State.STARTING:
            self._state = State.READY

    def signal(self) -> None:
        """First: stop in good order. Again: stop waiting for what is in hand."""
        if self._stop.is_set():
            self._give_up.set()
        else:
            self._begin_stop(State.DRAINING)

    def fail(self, reason: str) -> None:
        """Something is broken that only a new process cures: stop, and do not call it clean."""
        self._reason = self._reason or reason
        self._begin_stop(State.FAILED)

    async def stopping(self) -> None:
        """Returns when this process is to stop."""
        await self._stop.wait()

    def not_ready(self) -> str | None:
        """A check for /ready."""
        return None if self._state is State.READY else self._reason or str(self._state)

    def failed(self) -> str | None:
        """A check for /live."""
        return self._reason if self._state is State.FAILED else None

    async def drain(self, work: Awaitable[None], *, stop_intake: Callable[[], None], seconds: float) -> Exit:
        """Stop intake, then give `work` its time to end; what is left then is cancelled.

        `work` returns when nothing is in hand any more; what it raises is raised. A second signal ends the wait.
        """
        self._begin_stop(State.DRAINING)
        stop_intake()
        finished = asyncio.ensure_future(work)
        gave_up = asyncio.create_task(self._give_up.wait())
        try:
            await asyncio.wait({finished, gave_up}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not finished.done():
                log.warning("drain_incomplete", given_up=gave_up.done(), limit_seconds=seconds)
                return Exit.DRAIN_INCOMPLETE
            finished.result()
            return Exit.INTERNAL if self._state is State.FAILED else Exit.CLEAN
        finally:
            finished.cancel()
            gave_up.cancel()
            await asyncio.gather(finished, gave_up, return_exceptions=True)

    def _begin_stop(self, state: State) -> None:
        if self._state is not State.FAILED:
            self._state = state
        self._stop.set()


@contextmanager
def signals(received: Callable[[], None]) -> Iterator[None]:
    """Call `received` on the event loop for each SIGTERM and SIGINT; afterwards they do again what they did before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@asynccontextmanager
async def stop_requested() -> AsyncIterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets, for commands that hold nothing worth draining."""
    stop = asyncio.Event()
    with signals(stop.set):
        yield stop
