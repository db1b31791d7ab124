"""`python -m tests.support.nursery SOCKET`: forks workers under test, so that torch is imported once and not for each.

It has one thread and no event loop, which is what makes forking safe. A worker is asked for over the socket with a line
of JSON; the answers are its process id and, when it has ended, its exit status, negative for a signal.
"""

import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.embedded.tether import tie_to
from tests.support import fake_worker

MAX_REQUEST_BYTES = 65_536


def serve(place: Path) -> None:
    """Fork workers for ever."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as waiting:
        unready = place.with_suffix(".unready")
        listener.bind(str(unready))
        listener.listen()
        unready.rename(place)
        waiting.register(listener, selectors.EVENT_READ, lambda: _bear(listener, waiting))
        while True:
            for key, _ in waiting.select():
                key.data()


def _bear(listener: socket.socket, waiting: selectors.BaseSelector) -> None:
    asker, _ = listener.accept()
    told = json.loads(asker.recv(MAX_REQUEST_BYTES))
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        _live(told, nursery)
    asker.sendall(b"%d\n" % pid)
    watched = os.pidfd_open(pid)
    waiting.register(watched, selectors.EVENT_READ, _bury(pid, watched, asker, waiting))


def _live(told: dict[str, Any], nursery: int) -> None:
    """Be the worker; never returns."""
    status = 70
    try:
        tie_to(nursery)
        os.setsid()
        log = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for standard in (1, 2):
            os.dup2(log, standard)
        # Whatever else is open belongs to the nursery.
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(told["env"])
        status = fake_worker.main(told["argv"])
    except SystemExit as told_to:
        status = told_to.code if isinstance(told_to.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _bury(pid: int, watched: int, asker: socket.socket, waiting: selectors.BaseSelector) -> Callable[[], None]:
    def bury() -> None:
        waiting.unregister(watched)
        os.close(watched)
        _, status = os.waitpid(pid, 0)
        with asker:
            # Who asked may be gone.
            asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))

    return bury


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    serve(Path(sys.argv[1]))
