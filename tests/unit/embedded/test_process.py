"""Child processes: started, waited for, ended, and never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.embedded import tether
from pipeline.embedded.process import Child, ChildFailed, free_port, free_ports, listens, tail

LISTEN = (
    "import socket,sys; s=socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('up', flush=True); s.accept()"
)
DEAF = (
    "import signal,sys,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def python(script: str, log: Path, *arguments: str, stop_seconds: float = 5.0) -> Child:
    return Child("the script", [sys.executable, "-c", script, *arguments], {}, log, stop_seconds=stop_seconds)


def logged(log: Path, word: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return word in tail(log)

    return probe


async def never() -> bool:
    return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_child_is_ready_when_its_probe_says_so_and_gone_after_the_block(tmp_path: Path) -> None:
    """A server that listens is ready; leaving the block ends it."""
    port = free_port()
    async with python(LISTEN, tmp_path / "log", str(port)) as child:
        await child.ready(lambda: listens(port), 20)
        pid = child.pid
    assert not child.running
    assert not alive(pid)


async def test_child_that_ends_early_is_reported_with_its_status_and_the_end_of_its_log(tmp_path: Path) -> None:
    """Whoever starts it learns why it died without opening a file."""
    script = "import sys; print('no such bucket'); sys.exit(3)"
    async with python(script, tmp_path / "log") as child:
        with pytest.raises(ChildFailed, match=r"(?s)the script ended with status 3 .*no such bucket"):
            await child.ready(never, 20)


async def test_child_that_is_never_ready_is_reported_after_the_timeout(tmp_path: Path) -> None:
    """Waiting is bounded, and the bound is named."""
    async with python("import time; time.sleep(60)", tmp_path / "log") as child:
        with pytest.raises(ChildFailed, match=r"not ready after 0\.1 s"):
            await child.ready(never, 0.1)


async def test_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    """Stopping is bounded whatever the program thinks of it."""
    log = tmp_path / "log"
    async with python(DEAF, log, stop_seconds=0.1) as child:
        await child.ready(logged(log, "deaf"), 20)
    assert await child.ended() == -signal.SIGKILL


async def test_child_may_be_killed_as_a_crash_would(tmp_path: Path) -> None:
    """A crash can be provoked, and leaving the block afterwards is no error."""
    async with python("import time; time.sleep(60)", tmp_path / "log") as child:
        await child.kill()
        assert not child.running


async def test_child_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    """A missing program is told apart from a failing one."""
    with pytest.raises(ChildFailed, match="/nowhere/server is not an executable file"):
        async with Child("the server", ["/nowhere/server"], {}, tmp_path / "log"):
            pytest.fail("entered with nothing to run")


async def test_child_gets_the_given_environment_and_no_other(tmp_path: Path) -> None:
    """Secrets of ours do not reach a server by accident."""
    script = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"
    async with Child("the script", [sys.executable, "-c", script], {"COLOUR": "red"}, tmp_path / "log") as child:
        await child.ended()
    assert tail(tmp_path / "log") == "['COLOUR']"


async def test_child_dies_with_its_parent(tmp_path: Path) -> None:
    """Kill -9 of the program leaves no server behind."""
    parent = (
        "import asyncio, pathlib, sys\n"
        "from pipeline.embedded.process import Child\n"
        "async def main():\n"
        "    argv = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "    async with Child('the server', argv, {}, pathlib.Path(sys.argv[1])) as child:\n"
        "        print(child.pid, flush=True)\n"
        "        await child.ended()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    with os.fdopen(os.pidfd_open(pid)) as watched:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(watched, gone.set)
        process.kill()
        await process.wait()
        await asyncio.wait_for(gone.wait(), 20)
        asyncio.get_running_loop().remove_reader(watched)


async def test_tether_refuses_to_run_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    """Between fork and the request for a signal the parent may die: no signal would come, so nothing is started."""
    argv = [sys.executable, tether.__file__, "1", sys.executable]
    async with Child("the script", argv, {}, tmp_path / "log") as child:
        assert await child.ended() == 1
    assert tail(tmp_path / "log") == "the parent process 1 is gone"


def test_child_is_of_no_use_before_it_is_started(tmp_path: Path) -> None:
    """Using it outside of its block is a mistake of ours, said as such."""
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = python("pass", tmp_path / "log").running


def test_free_ports_are_different_from_one_another() -> None:
    """A server that needs eight ports gets eight."""
    assert len(set(free_ports(8))) == 8


def test_tail_keeps_only_the_last_lines(tmp_path: Path) -> None:
    """An error message stays readable whatever the server logged."""
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(1000)))
    assert tail(log).splitlines() == [f"line {number}" for number in range(980, 1000)]


def test_tail_of_a_log_that_was_never_written_is_empty(tmp_path: Path) -> None:
    """Reporting a failure never fails itself."""
    assert tail(tmp_path / "log") == ""
