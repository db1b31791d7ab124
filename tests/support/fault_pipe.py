"""One direction of a proxied connection: reads, delays, holds, throttles and delivers as it is told at the moment."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

READ_BYTES = 16_384
READ_AHEAD = 8
"""Reads that may wait here; beyond them the sender's own buffers fill, as on a slow line."""
PIECES_PER_SECOND = 10
"""Of a line with limited bandwidth, so that a switch takes effect within a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What happens to the bytes of one direction."""

    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    """The latency of each read is drawn from `latency_seconds` plus or minus this; order is kept."""
    bytes_per_second: float | None = None
    """Of each connection."""
    held: bool = False
    """Nothing arrives, and nobody is told; what was held arrives when this ends, as after a partition."""
    cut: bool = False
    """The receiver is told that the sender has ended, and what the sender says is lost."""
    reset_after_bytes: int | None = None
    """A connection is reset once it has delivered this many since the switch."""

    def latency(self, chance: random.Random) -> float:
        """Seconds for one read."""
        return max(0.0, self.latency_seconds + self.jitter_seconds * chance.uniform(-1, 1))


class Switch:
    """The flow of one direction, as of now, and a way to wait for another."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._switched = asyncio.Event()

    def to(self, flow: Flow) -> None:
        self.flow = flow
        self._switched.set()
        self._switched = asyncio.Event()

    async def let_through(self) -> Flow:
        """The flow, once it does not hold."""
        while self.flow.held:
            await self._switched.wait()
        return self.flow


@dataclass(frozen=True, slots=True)
class Line:
    """What all connections of a proxy share in one direction."""

    switch: Switch
    chance: random.Random
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    count: Callable[[int], None]
    """Told of every delivery, in bytes."""


@dataclass(slots=True)
class Pipe:
    """Carries bytes from `source` to `target` until the source ends. Raises `OSError`."""

    line: Line
    source: socket.socket
    target: socket.socket
    _read: asyncio.Queue[tuple[float, bytes]] = field(default_factory=lambda: asyncio.Queue(READ_AHEAD))
    _flow: Flow | None = None
    _since_switch: int = 0
    _ended: bool = False

    async def read(self) -> None:
        """Take what the source sends, and note when it is due."""
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            data = await loop.sock_recv(self.source, READ_BYTES)
            await self._read.put((self.line.now() + self.line.switch.flow.latency(self.line.chance), data))

    async def write(self) -> None:
        """Deliver what is due, in order; an empty read is the end."""
        while True:
            due, data = await self._read.get()
            if due > self.line.now():
                await self.line.sleep(due - self.line.now())
            if not data:
                await self.line.switch.let_through()
                self.end()
                return
            await self._deliver(memoryview(data))

    def end(self) -> None:
        """Tell the target that no more will come."""
        if not self._ended:
            self._ended = True
            with suppress(OSError):
                self.target.shutdown(socket.SHUT_WR)

    async def _deliver(self, data: memoryview) -> None:
        while data:
            flow = await self.line.switch.let_through()
            piece = data[: self._allowed(flow, len(data))]
            if not self._ended:
                await asyncio.get_running_loop().sock_sendall(self.target, piece)
                self.line.count(len(piece))
            data = data[len(piece) :]
            self._since_switch += len(piece)
            if flow.reset_after_bytes is not None and self._since_switch >= flow.reset_after_bytes:
                raise ConnectionResetError
            if flow.bytes_per_second is not None:
                await self.line.sleep(len(piece) / flow.bytes_per_second)

    def _allowed(self, flow: Flow, wanted: int) -> int:
        """Bytes of the next piece; at least one."""
        if flow is not self._flow:
            self._flow, self._since_switch = flow, 0
        if flow.bytes_per_second is not None:
            wanted = min(wanted, max(1, int(flow.bytes_per_second / PIECES_PER_SECOND)))
        if flow.reset_after_bytes is not None:
            wanted = min(wanted, max(1, flow.reset_after_bytes - self._since_switch))
        return wanted
