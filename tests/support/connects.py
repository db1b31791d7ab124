"""Which addresses the process tried to connect to, seen where the interpreter calls the kernel."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_watchers: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and _watchers:
        address = arguments[1]
        for seen in _watchers:
            seen.append(str(address[0]) if isinstance(address, tuple) else str(address))


sys.addaudithook(_hook)


@contextmanager
def recorded_connects() -> Iterator[list[str]]:
    """The addresses of all connects during the block, in order."""
    seen: list[str] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
