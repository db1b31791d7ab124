"""A receiver of webhooks: a real HTTP server that writes down what arrives, byte for byte, and answers by script."""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

CHUNK = b"x" * 65_536


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as it came."""

    path: str
    """With the query, as it was on the wire."""
    headers: Mapping[str, str]
    """Names without regard to case."""
    body: bytes
    at: float
    """Unix seconds."""
    peer: tuple[str, int]
    """Address and port of the connection it came by."""


@dataclass(slots=True)
class Receiver:
    """Where it listens, and what came."""

    port: int
    scheme: str
    calls: list[Call] = field(default_factory=list)
    sent_bytes: int = 0
    """Of bodies that are written bit by bit: what went out, give or take a buffer of 64 KiB."""
    called: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there was a call."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def rest(self, seconds: float) -> None:
        """Wait, but no longer than the receiver is open."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds)


Answering = Callable[[Receiver, web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiver(*scripts: Answering, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """Answer the n-th call by the n-th script; the last one answers all further calls. Listens on 127.0.0.1."""
    seen = Receiver(port, "https" if tls else "http")

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        seen.calls.append(Call(request.raw_path, request.headers, await request.read(), time.time(), peer))
        seen.called.set()
        with contextlib.suppress(ConnectionError):
            return await scripts[min(len(seen.calls), len(scripts)) - 1](seen, request)
        return web.Response()

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", port), backlog=512)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(CHUNK))
    seen.port = listening.getsockname()[1]
    await web.SockSite(runner, listening, ssl_context=tls).start()
    try:
        yield seen
    finally:
        seen.closing.set()
        await runner.cleanup()


def status(code: int, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answering:
    """A well-formed answer."""

    async def script(_receiver: Receiver, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=code, body=body, headers=headers)

    return script


def redirect(location: str, code: int = 301) -> Answering:
    return status(code, headers={"Location": location})


def throttled(retry_after: str, code: int = 429) -> Answering:
    return status(code, headers={"Retry-After": retry_after})


def later(seconds: float, script: Answering) -> Answering:
    """`script`, but only after a while, or when the receiver closes."""

    async def waiting(receiver: Receiver, request: web.BaseRequest) -> web.StreamResponse:
        await receiver.rest(seconds)
        return await script(receiver, request)

    return waiting


def large(total_bytes: int, code: int = 200) -> Answering:
    """A body of that size, as fast as it is taken."""

    async def script(receiver: Receiver, request: web.BaseRequest) -> web.StreamResponse:
        response = await _begun(request, code, {"Content-Length": str(total_bytes)})
        for start in range(0, total_bytes, len(CHUNK)):
            chunk = CHUNK[: total_bytes - start]
            await response.write(chunk)
            receiver.sent_bytes += len(chunk)
        return response

    return script


def dripping(code: int = 200, pause_seconds: float = 0.01) -> Answering:
    """A body that never ends, a byte at a time."""

    async def script(receiver: Receiver, request: web.BaseRequest) -> web.StreamResponse:
        response = await _begun(request, code, {})
        while not receiver.closing.is_set():
            await response.write(b"x")
            receiver.sent_bytes += 1
            await receiver.rest(pause_seconds)
        return response

    return script


def wrong_length(code: int = 200) -> Answering:
    """An answer that ends before what it had announced."""

    async def script(_receiver: Receiver, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(f"HTTP/1.1 {code} X\r\nContent-Length: 300\r\n\r\nshort".encode())
        request.transport.close()
        return web.Response()

    return script


def reset() -> Answering:
    """A TCP reset instead of an answer."""

    async def script(_receiver: Receiver, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    return script


async def _begun(request: web.BaseRequest, code: int, headers: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=code, headers=headers)
    await response.prepare(request)
    return response
