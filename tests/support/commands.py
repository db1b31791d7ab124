"""The command line, each time in a process of its own.

Importing torch takes seconds, so one process imports the worker and every command is a fork of that one.
"""

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import orjson

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60
"""A command that takes longer hangs, and is ended by SIGALRM: its exit code is negative then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands one after the other; made by `command_line`."""

    def __init__(self, server: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._server = server
        self._folder = folder

    def run(self, *words: str, environment: Mapping[str, str], limit_seconds: int = LIMIT_SECONDS) -> Ended:
        """Run `upscale WORDS` and wait for its end. `environment` is all that it sees besides our own PATH and HOME."""
        out, err = self._folder / "out", self._folder / "err"
        order = {
            "words": words,
            "environment": base_environment() | dict(environment),
            "out": str(out),
            "err": str(err),
            "limit_seconds": limit_seconds,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(orjson.dumps(order) + b"\n")
        self._server.stdin.flush()
        return Ended(int(self._server.stdout.readline()), out.read_text(), err.read_text())


@contextmanager
def command_line(folder: Path) -> Iterator[Commands]:
    """The process that is forked, while the block lasts; what commands print passes through `folder`."""
    command = [sys.executable, "-m", "tests.support.commands"]
    with subprocess.Popen(
        command, env=base_environment(), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        try:
            yield Commands(server, folder)
        finally:
            server.kill()


def base_environment() -> dict[str, str]:
    """What every process needs, whatever the settings are: our code, and where programs and the home folder are."""
    return {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(Path.home())}


def serve() -> None:
    """Fork for each order that comes on stdin, and write the exit code of each to stdout."""
    import_module("pipeline.worker.app")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(orjson.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def become(order: dict[str, Any]) -> NoReturn:
    """Be the command that was ordered, until its last thread has ended. Torch is not torn down: it takes a second."""
    signal.alarm(order["limit_seconds"])
    os.environ.clear()
    os.environ.update(order["environment"])
    with Path(order["out"]).open("wb") as out, Path(order["err"]).open("wb") as err, Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
    code = run_main(order["words"])
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run_main(words: list[str]) -> int:
    """The exit code, as the interpreter would come to it."""
    try:
        return int(import_module("pipeline.__main__").main(words))
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    serve()
