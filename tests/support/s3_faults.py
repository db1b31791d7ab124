"""An HTTP proxy before an object store that answers for it, loses its answers and damages what passes through.

Requests reach the store with the Host, path and query that the client signed, so signatures hold. What it does is
switched while it runs, and drawn with a seed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

LOOPBACK = "127.0.0.1"
WHOLE_PIECE = 2**16
PIECES_PER_SECOND = 10
CHECKSUM = "x-amz-checksum-sha256"
FALSE_CHECKSUM_VALUE = "A" * 43 + "="
OF_ONE_CONNECTION = ("Connection", "Keep-Alive", "Transfer-Encoding", "Expect")
"""Headers that are not passed on; none of them is signed."""
SLOW_DOWN = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Slow.</Message></Error>'


class StoreFault(StrEnum):
    """What may happen to a request. Of several that are drawn, the first in this order does."""

    SLOW_DOWN = "503 SlowDown, and the store never hears of it"
    HANG = "nothing, until the next switch, and the store never hears of it"
    CORRUPT_UP = "the store gets another body"
    LOSE_ANSWER = "the store does it, and the connection breaks off"
    HOLD_ANSWER = "the store does it, and the answer waits for the next switch"
    CORRUPT_DOWN = "the client gets another body"
    FALSE_CHECKSUM = "the store's answer names another SHA-256"


@dataclass(frozen=True, slots=True)
class StoreBehaviour:
    """What the proxy does from now on."""

    chances: Mapping[StoreFault, float] = field(default_factory=dict)
    """0 to 1, for each request that the next fields leave."""
    methods: frozenset[str] = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
    prefix: str = "/"
    """Of the path, bucket included."""
    times: int | None = None
    """So many requests are hit at most; None is without end."""
    bytes_per_second: float | None = None
    """Of each body, in both directions."""


HEALTHY = StoreBehaviour()


class FaultyStore:
    """Made by `faulty_store`."""

    def __init__(
        self, upstream: str, session: aiohttp.ClientSession, seed: int, sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        self.url = ""
        """To be used as the endpoint of the store."""
        self.requests: Counter[str] = Counter()
        """By method."""
        self.writes: Counter[str] = Counter()
        """PUTs that the store took, by path, since the last DELETE."""
        self.hits: Counter[StoreFault] = Counter()
        """What was done to how many requests."""
        self.hit = asyncio.Event()
        """Set when a fault has happened to a request since the last switch, or has begun to."""
        self._upstream = upstream
        self._session = session
        self._chance = random.Random(seed)
        self._sleep = sleep
        self._behaviour = HEALTHY
        self._hits_left: int | None = None
        self._switched = asyncio.Event()

    def switch(self, behaviour: StoreBehaviour) -> None:
        """Behave so from now on. What was held or hung ends."""
        self._behaviour = behaviour
        self._hits_left = behaviour.times
        self.hit = asyncio.Event()
        self._switched.set()
        self._switched = asyncio.Event()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, as told."""
        self.requests[request.method] += 1
        switched, hit, fault = self._switched, self.hit, self._draw(request)
        if fault is StoreFault.SLOW_DOWN:
            hit.set()
            return web.Response(status=503, body=SLOW_DOWN, content_type="application/xml")
        body = await self._read(request)
        if fault is StoreFault.HANG:
            hit.set()
            await switched.wait()
            return _broken_off(request)
        answer, content = await self._forward(request, _damaged(body) if fault is StoreFault.CORRUPT_UP else body)
        if fault:
            hit.set()
        if fault is StoreFault.LOSE_ANSWER:
            return _broken_off(request)
        if fault is StoreFault.HOLD_ANSWER:
            await switched.wait()
        if fault is StoreFault.FALSE_CHECKSUM:
            answer.headers[CHECKSUM] = FALSE_CHECKSUM_VALUE
        return await self._write(request, answer, _damaged(content) if fault is StoreFault.CORRUPT_DOWN else content)

    def _draw(self, request: web.BaseRequest) -> StoreFault | None:
        """One draw for each fault, whether or not it applies: what is drawn does not depend on what is asked."""
        told = self._behaviour
        drawn = [fault for fault in StoreFault if self._chance.random() < told.chances.get(fault, 0.0)]
        applies = request.method in told.methods and request.raw_path.startswith(told.prefix)
        if not drawn or not applies or self._hits_left == 0:
            return None
        if self._hits_left is not None:
            self._hits_left -= 1
        self.hits[drawn[0]] += 1
        return drawn[0]

    async def _forward(self, request: web.BaseRequest, body: bytes) -> tuple[web.StreamResponse, bytes]:
        async with self._session.request(
            request.method,
            URL(f"{self._upstream}{request.raw_path}", encoded=True),
            headers=_passed_on(request.headers),
            data=body or None,
            allow_redirects=False,
        ) as found:
            self._count(request, found.status)
            answer = web.StreamResponse(status=found.status, reason=found.reason, headers=_passed_on(found.headers))
            return answer, await found.read()

    def _count(self, request: web.BaseRequest, status: int) -> None:
        if request.method == "DELETE":
            self.writes.pop(request.path, None)
        elif request.method == "PUT" and status == HTTPStatus.OK:
            self.writes[request.path] += 1

    async def _read(self, request: web.BaseRequest) -> bytes:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        async for piece in request.content.iter_chunked(self._piece_bytes()):
            body += piece
            await self._take_time(len(piece))
        return bytes(body)

    async def _write(self, request: web.BaseRequest, answer: web.StreamResponse, content: bytes) -> web.StreamResponse:
        await answer.prepare(request)
        size = self._piece_bytes()
        for start in range(0, len(content), size):
            await answer.write(content[start : start + size])
            await self._take_time(len(content[start : start + size]))
        return answer

    def _piece_bytes(self) -> int:
        rate = self._behaviour.bytes_per_second
        return max(1, int(rate / PIECES_PER_SECOND)) if rate else WHOLE_PIECE

    async def _take_time(self, carried: int) -> None:
        if self._behaviour.bytes_per_second:
            await self._sleep(carried / self._behaviour.bytes_per_second)


@asynccontextmanager
async def faulty_store(
    upstream: str, *, seed: int = 0, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncIterator[FaultyStore]:
    """A proxy on a loopback port of its own before the store at the URL `upstream`, healthy at first."""
    async with aiohttp.ClientSession(
        auto_decompress=False, trust_env=False, skip_auto_headers=("User-Agent", "Content-Type", "Accept-Encoding")
    ) as session:
        proxy = FaultyStore(upstream, session, seed, sleep)
        # Nobody waits here for a request that hangs on purpose.
        runner = web.ServerRunner(web.Server(proxy.serve, access_log=None), shutdown_timeout=0.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, 0)
            await site.start()
            proxy.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
            yield proxy
        finally:
            proxy.switch(HEALTHY)
            await runner.cleanup()


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in OF_ONE_CONNECTION:
        kept.popall(name, None)
    return kept


def _damaged(body: bytes) -> bytes:
    """One bit is another, in the middle, so that a head that only some formats check stays whole."""
    middle = len(body) // 2
    return body[:middle] + bytes(byte ^ 1 for byte in body[middle : middle + 1]) + body[middle + 1 :]


def _broken_off(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
