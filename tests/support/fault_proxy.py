"""A TCP proxy that breaks the network on demand: what it does to either direction is switched while it runs.

A client that learns addresses from its server, as those of Kafka do, must be told the proxy's: the server then
advertises `FaultProxy.address`, which is known before the server starts (see `tests/support/proxied.py`).
"""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.fault_pipe import Flow, Line, Pipe, Switch

LOOPBACK = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
FREE = Flow()
HELD = Flow(held=True)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the proxy does from now on, to the connections it has and to those to come."""

    up: Flow = FREE
    """From the client to the upstream."""
    down: Flow = FREE
    refuse: bool = False
    """New connections are refused; those there are go on."""


PASS = Behaviour()
HANG = Behaviour(HELD, HELD)
REFUSE = Behaviour(refuse=True)


@dataclass(slots=True)
class Counts:
    """What came, and what got through."""

    connections: int = 0
    up_bytes: int = 0
    down_bytes: int = 0

    def count_up(self, delivered: int) -> None:
        self.up_bytes += delivered

    def count_down(self, delivered: int) -> None:
        self.down_bytes += delivered


class FaultProxy:
    """Listens on a loopback port of its own while entered, whether or not anything listens at `upstream` yet.

    Equal seeds draw equal latencies for equal reads. Leaving resets every connection and closes every socket.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        *,
        seed: int = 0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.counts = Counts()
        self._upstream = upstream
        chance = random.Random(seed)
        self._up = Line(Switch(FREE), chance, now, sleep, self.counts.count_up)
        self._down = Line(Switch(FREE), chance, now, sleep, self.counts.count_down)
        self._place: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._open: dict[asyncio.Task[None], _Connection] = {}

    async def __aenter__(self) -> Self:
        # Bound and never listening: it keeps the port ours while connections to it are refused.
        self._place = _bound(0)
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refuse()
        await self.reset()
        if self._place is not None:
            self._place.close()

    @property
    def port(self) -> int:
        if self._place is None:
            raise RuntimeError("the proxy has no port yet: use `async with`")
        port: int = self._place.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """`host:port`, to give to clients in place of the upstream's."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def switch(self, behaviour: Behaviour) -> None:
        """Behave so from now on. What is under way keeps the delay it was given."""
        self._up.switch.to(behaviour.up)
        self._down.switch.to(behaviour.down)
        if behaviour.refuse:
            self._refuse()
        elif self._listener is None:
            self._listen()
        for connection in self._open.values():
            connection.cut_as_told()

    async def reset(self) -> None:
        """Reset every open connection, on both sides; returns when they are gone."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _listen(self) -> None:
        self._listener = _bound(self.port)
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _refuse(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionError):
            client, _ = listener.accept()
            self.counts.connections += 1
            connection = _Connection(client, self._up, self._down)
            task = asyncio.create_task(connection.run(self._upstream))
            self._open[task] = connection
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).close(orderly=not task.cancelled() and task.exception() is None)


class _Connection:
    """A client's connection and ours to the upstream, which end together."""

    def __init__(self, client: socket.socket, up: Line, down: Line) -> None:
        client.setblocking(False)
        upstream = socket.socket()
        upstream.setblocking(False)
        self._sockets = (client, upstream)
        self._pipes = (Pipe(up, client, upstream), Pipe(down, upstream, client))
        self._connected = False

    async def run(self, address: tuple[str, int]) -> None:
        """Carry bytes until both sides have ended. Raises `OSError` when one of them ends otherwise."""
        await asyncio.get_running_loop().sock_connect(self._sockets[1], address)
        self._connected = True
        self.cut_as_told()
        try:
            async with asyncio.TaskGroup() as group:
                for pipe in self._pipes:
                    group.create_task(pipe.read())
                    group.create_task(pipe.write())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def cut_as_told(self) -> None:
        for pipe in self._pipes:
            if self._connected and pipe.line.switch.flow.cut:
                pipe.end()

    def close(self, *, orderly: bool) -> None:
        """Both sides; out of order means by a reset."""
        for each in self._sockets:
            if not orderly:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            each.close()


def _bound(port: int) -> socket.socket:
    place = socket.socket()
    place.setblocking(False)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind((LOOPBACK, port))
    return place
