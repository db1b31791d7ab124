"""A server of someone else's as a child of ours: started, waited for, and gone when we are gone."""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from os import getpid
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pipeline.embedded import tether
from pipeline.errors import PipelineError

LOOPBACK = "127.0.0.1"
PROBE_INTERVAL_SECONDS = 0.02
TAIL_BYTES = 4096
TAIL_LINES = 20


class ChildFailed(PipelineError):
    """A child process did not start, was not ready in time or ended; the text closes with the end of its log."""


class Child:
    """One child process. Entering starts it; leaving ends it with SIGTERM, and SIGKILL after `stop_seconds`.

    `env` is its complete environment: nothing is inherited. Its output is appended to `log_path`. It has a session
    of its own, so that Ctrl-C reaches us alone and we decide what stops first. On Linux the kernel ends it should
    we die without a word.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        *,
        stop_seconds: float = 10.0,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._argv = tuple(argv)
        self._env = dict(env)
        self._stop_seconds = stop_seconds
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the program. Raises `ChildFailed` when it cannot be executed."""
        if shutil.which(self._argv[0]) is None:
            raise ChildFailed(f"{self.name}: {self._argv[0]} is not an executable file")
        with _append(self.log_path) as log:
            self._process = await asyncio.create_subprocess_exec(
                *_tethered(self._argv),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._started()
        try:
            await _signal_and_wait(process, signal.SIGTERM, self._stop_seconds)
        finally:
            await _signal_and_wait(process, signal.SIGKILL, None)

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._started().returncode is None

    async def ended(self) -> int:
        """The exit status, negative for a signal, once there is one."""
        return await self._started().wait()

    async def kill(self) -> None:
        """End it without warning, as a crash would."""
        await _signal_and_wait(self._started(), signal.SIGKILL, None)

    async def ready(self, probe: Callable[[], Awaitable[bool]], timeout: float) -> None:
        """Return when `probe` says so. Raises `ChildFailed` when the child ends first or `timeout` seconds pass.

        `probe` is called again and again; it must neither raise nor wait long.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        ended = asyncio.ensure_future(self.ended())
        try:
            while not await probe():
                await asyncio.wait({ended}, timeout=PROBE_INTERVAL_SECONDS)
                if ended.done():
                    raise self._failure(f"ended with status {ended.result()} before it was ready")
                if asyncio.get_running_loop().time() > deadline:
                    raise self._failure(f"was not ready after {timeout:g} s")
        finally:
            ended.cancel()

    def _failure(self, what: str) -> ChildFailed:
        return ChildFailed(f"{self.name} {what}; the end of {self.log_path}:\n{tail(self.log_path)}")

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started: use `async with`")
        return self._process


async def listens(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts TCP connections there: the plainest probe for `Child.ready`."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def free_ports(count: int) -> tuple[int, ...]:
    """`count` different loopback TCP ports that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return tuple(each.getsockname()[1] for each in sockets)


def free_port() -> int:
    """A loopback TCP port that was free a moment ago."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server can have this loopback TCP port: nothing listens there. Connections that have ended there do not
    count, as they do not for the server."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def tail(path: Path) -> str:
    """The last lines of a log, for an error message; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-TAIL_LINES:])


def _tethered(argv: Sequence[str]) -> tuple[str, ...]:
    """`argv` behind the tether. `preexec_fn` would be shorter, but it runs Python in a fork of a threaded process,
    where any lock may be held for ever."""
    return (sys.executable, "-I", "-S", str(Path(tether.__file__)), str(getpid()), *argv)


def _append(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


async def _signal_and_wait(process: asyncio.subprocess.Process, number: signal.Signals, timeout: float | None) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), timeout)
