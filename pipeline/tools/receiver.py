"""`python -m pipeline.tools.receiver PORT HOSTS`: a receiver of webhooks that costs little, for benchmarks.

A path that begins with `/hang` is never answered; any other is answered 200 at once. `GET /latencies` tells for
each path how late its bodies came after their `timestamp`, in seconds.
"""

import asyncio
import sys
from collections import defaultdict
from datetime import datetime
from time import time

import orjson

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Receiver(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, latencies: dict[str, list[float]]) -> None:
        self._latencies = latencies
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(END)) >= 0:
            head, start = self._buffer[:end], end + len(END)
            stop = start + _length(head)
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[start:stop], self._buffer[stop:]
            self._answer(head.split(b" ", 2)[1].decode(), body)

    def _answer(self, path: str, body: bytes) -> None:
        assert self._transport is not None
        if path == "/latencies":
            told = orjson.dumps(self._latencies)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
            return
        happened = datetime.fromisoformat(orjson.loads(body)["timestamp"])
        self._latencies[path].append(time() - happened.timestamp())
        if not path.startswith("/hang"):
            self._transport.write(OK)


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(LENGTH)
    return int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(port: int, hosts: int) -> None:
    """On so many loopback addresses, until the process ends."""
    latencies: dict[str, list[float]] = defaultdict(list)
    names = [f"127.0.0.{each + 1}" for each in range(hosts)]
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(latencies), names, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
