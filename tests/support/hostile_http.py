"""A server that misbehaves by script: raw sockets on loopback, plain or TLS, and a count of who came."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class HostileServer:
    """What it was asked, and where it listens."""

    port: int
    scheme: str
    requests: list[bytes] = field(default_factory=list)
    """The head of each request, in order."""
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/picture.png") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def hostile_server(
    *scripts: Script, tls: ssl.SSLContext | None = None, greeting: bytes = b""
) -> AsyncIterator[HostileServer]:
    """Serve the n-th request by the n-th script; the last one serves all further requests.

    A script begins when the request has come whole, its body included. `greeting` is said before any request.
    """
    seen = HostileServer(0, "https" if tls else "http")
    open_tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        task = asyncio.current_task()
        assert task is not None
        open_tasks.add(task)
        try:
            writer.write(greeting)
            seen.requests.append(await reader.readuntil(b"\r\n\r\n"))
            seen.bodies.append(await _read_body(seen.requests[-1].lower(), reader, writer))
            await scripts[min(len(seen.requests), len(scripts)) - 1](reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            open_tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in list(open_tasks):
            task.cancel()
        await asyncio.gather(*open_tasks, return_exceptions=True)


async def _read_body(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    if b"expect: 100-continue" in head:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return await reader.readexactly(int(length[1])) if length else b""


def answer(body: bytes = b"picture", *, status: int = 200, headers: tuple[str, ...] = ()) -> Script:
    """A well-formed answer."""
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers)
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes) -> Script:
    """These bytes, then the end of the connection."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return script


def redirect(location: str, status: int = 302) -> Script:
    return answer(b"", status=status, headers=(f"Location: {location}",))


def slowly(script: Script, pause_seconds: float) -> Script:
    """`script`, but only after a while."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), pause_seconds)
        await script(reader, writer)

    return slow


def silent() -> Script:
    """Takes the request and never answers."""
    return drip(b"")


def drip(head: bytes, chunk: bytes = b"", pause_seconds: float = 0.01) -> Script:
    """`head`, then `chunk` again and again until the client goes; without a chunk, silence."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not reader.at_eof():
            writer.write(chunk)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), pause_seconds)

    return script


def reset(after: bytes = b"") -> Script:
    """`after`, then a TCP reset instead of an orderly end."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        await writer.drain()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script


def endless(head: bytes, block: bytes) -> Script:
    """`head`, then `block` as fast as the client takes it."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(block)
            await writer.drain()

    return script
