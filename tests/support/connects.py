"""Which addresses the process tried to connect to: seen where the interpreter calls the kernel, and by who listens."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Listener:
    """Listens on every address of this machine, loopback and inner ones included, and answers nobody."""

    port: int
    _socket: socket.socket

    def connections(self) -> int:
        """How many were made since the last time it was asked; the kernel has completed them by itself."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@contextmanager
def listening_everywhere() -> Iterator[Listener]:
    """A listener on IPv4 and IPv6."""
    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)) as listens:
        listens.setblocking(False)
        yield Listener(listens.getsockname()[1], listens)
