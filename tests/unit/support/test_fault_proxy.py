"""The TCP fault proxy, between real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.support.fault_pipe import Flow
from tests.support.fault_proxy import FREE, HANG, HELD, LOOPBACK, PASS, REFUSE, Behaviour, FaultProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE_SECONDS = 20.0


@dataclass
class Upstream:
    """Echoes; what it received stays to be looked at."""

    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """How each connection ended, as the upstream saw it."""
    may_close: asyncio.Event = field(default_factory=asyncio.Event)
    last_words: bytes = b""
    """Said to a client that has ended, once `may_close` is set, which it is unless a test clears it."""

    def __post_init__(self) -> None:
        self.may_close.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.received += data
                self.arrived.set()
                writer.write(data)
                await writer.drain()
            self.ended.put_nowait("end")
            await self.may_close.wait()
            writer.write(self.last_words)
        except ConnectionResetError:
            self.ended.put_nowait("reset")
        finally:
            writer.close()


@dataclass
class Hurried:
    """Time that passes only while somebody waits for it."""

    at: float = 0.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def proxied(time: Hurried | None = None, seed: int = 0) -> AsyncIterator[tuple[FaultProxy, Upstream]]:
    time = time or Hurried()
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, LOOPBACK, 0)
    upstream.port = server.sockets[0].getsockname()[1]
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        server,
        FaultProxy((LOOPBACK, upstream.port), seed=seed, now=time.now, sleep=time.sleep) as proxy,
    ):
        yield proxy, upstream


@asynccontextmanager
async def client(proxy: FaultProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(streams: Streams, data: bytes) -> bytes:
    reader, writer = streams
    writer.write(data)
    return await reader.readexactly(len(data))


async def direct_exchange(upstream: Upstream) -> None:
    """A question to the upstream past the proxy: whatever was on its way there by then has arrived."""
    reader, writer = await asyncio.open_connection(LOOPBACK, upstream.port)
    await echoed((reader, writer), b"direct")
    writer.transport.abort()


async def test_proxy_passes_both_directions_and_counts_them() -> None:
    """What is sent comes back unchanged, and connections and bytes of each direction are counted."""
    data = bytes(range(256)) * 1024
    async with proxied() as (proxy, upstream), client(proxy) as (reader, writer):
        assert await echoed((reader, writer), data) == data
        writer.write_eof()
        assert await reader.read() == b""
        assert await upstream.ended.get() == "end"
        assert (proxy.counts.connections, proxy.counts.up_bytes, proxy.counts.down_bytes) == (1, len(data), len(data))


async def test_proxy_delays_each_read_within_the_jitter_and_as_seeded() -> None:
    """Latencies lie in the stated band, equal seeds give equal ones, and another seed others."""

    async def waits(seed: int) -> list[float]:
        time = Hurried()
        async with proxied(time, seed) as (proxy, _), client(proxy) as streams:
            proxy.switch(Behaviour(up=Flow(latency_seconds=0.5, jitter_seconds=0.2)))
            for number in range(5):
                await echoed(streams, bytes([number]))
        return time.waits

    first, again, other = await waits(1), await waits(1), await waits(2)
    assert len(first) == 5
    assert all(0.3 <= wait <= 0.7 for wait in first)
    assert first == again != other


async def test_proxy_delivers_in_order_when_a_later_read_is_due_sooner() -> None:
    """Jitter delays bytes; it never swaps them."""
    data = bytes(range(256)) * 512
    async with proxied(seed=3) as (proxy, _), client(proxy) as streams:
        proxy.switch(Behaviour(up=Flow(latency_seconds=1, jitter_seconds=1)))
        assert await echoed(streams, data) == data


async def test_proxy_takes_the_time_that_the_bandwidth_says() -> None:
    """8,000 bytes at 8,000 bytes a second take one second."""
    time = Hurried()
    async with proxied(time) as (proxy, _), client(proxy) as streams:
        proxy.switch(Behaviour(down=Flow(bytes_per_second=8000)))
        await echoed(streams, bytes(8000))
        # The wait after the last piece begins when the client has it.
        proxy.switch(PASS)
        await echoed(streams, b"-")
    assert sum(time.waits) == pytest.approx(1.0)


async def test_proxy_that_hangs_accepts_and_forwards_nothing_until_it_passes_again() -> None:
    """What a client says waits in the proxy, while the upstream talks to others, and arrives whole later."""
    async with proxied() as (proxy, upstream):
        proxy.switch(HANG)
        async with client(proxy) as held:
            held[1].write(b"held")
            await direct_exchange(upstream)
            assert upstream.received == b"direct"
            proxy.switch(PASS)
            assert await held[0].readexactly(4) == b"held"


@pytest.mark.parametrize("behaviour", [Behaviour(up=HELD), Behaviour(down=HELD)], ids=["up", "down"])
async def test_half_open_proxy_holds_one_direction_alone(behaviour: Behaviour) -> None:
    """With the way up held the upstream hears nothing; with the way down held it hears, and its answer waits."""
    async with proxied() as (proxy, upstream), client(proxy) as (reader, writer):
        proxy.switch(behaviour)
        writer.write(b"question")
        if behaviour.down.held:
            await upstream.arrived.wait()
        await direct_exchange(upstream)
        heard = b"question" if behaviour.down.held else b""
        assert (upstream.received, proxy.counts.down_bytes) == (heard + b"direct", 0)
        proxy.switch(PASS)
        assert await reader.readexactly(8) == b"question"


async def test_proxy_resets_open_connections_on_both_sides() -> None:
    """Client and upstream see a reset, and the next connection works."""
    async with proxied() as (proxy, upstream):
        async with client(proxy) as (reader, writer):
            await echoed((reader, writer), b"hello")
            await proxy.reset()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            assert await upstream.ended.get() == "reset"
        assert proxy.open_connections == 0
        async with client(proxy) as streams:
            assert await echoed(streams, b"again") == b"again"


async def test_proxy_resets_a_connection_after_so_many_bytes_since_the_switch() -> None:
    """What was carried before does not count; exactly the stated bytes get through, then the reset."""
    async with proxied() as (proxy, upstream), client(proxy) as streams:
        await echoed(streams, b"before the switch")
        proxy.switch(Behaviour(up=Flow(reset_after_bytes=5)))
        streams[1].write(b"0123456789")
        with pytest.raises(ConnectionResetError):
            await streams[0].readexactly(10)
        assert await upstream.ended.get() == "reset"
        assert upstream.received.removeprefix(b"before the switch") in (b"", b"01234")
        assert proxy.counts.up_bytes == len(b"before the switch") + 5


async def test_proxy_refuses_new_connections_and_keeps_those_there_are() -> None:
    """A connection that was open goes on; a new one is refused, until the proxy passes again on the same port."""
    async with proxied() as (proxy, _), client(proxy) as streams:
        await echoed(streams, b"one")
        proxy.switch(REFUSE)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, proxy.port)
        assert await echoed(streams, b"two") == b"two"
        proxy.switch(PASS)
        async with client(proxy) as again:
            assert await echoed(again, b"three") == b"three"


async def test_proxy_that_cuts_the_way_up_ends_it_for_the_upstream_and_leaves_the_way_down() -> None:
    """The upstream reads the end; what the client says after is lost; the client still
    reads what the upstream says last."""
    async with proxied() as (proxy, upstream), client(proxy) as (reader, writer):
        upstream.may_close.clear()
        upstream.last_words = b"farewell"
        await echoed((reader, writer), b"before")
        proxy.switch(Behaviour(up=Flow(cut=True), down=FREE))
        assert await upstream.ended.get() == "end"
        writer.write(b"lost")
        await direct_exchange(upstream)
        assert upstream.received == b"beforedirect"
        upstream.may_close.set()
        assert await reader.read() == b"farewell"


async def test_proxy_resets_a_client_whose_upstream_is_not_there() -> None:
    """An upstream that is gone looks gone, not slow."""
    async with asyncio.timeout(PATIENCE_SECONDS), FaultProxy((LOOPBACK, 1)) as proxy, client(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_proxy_leaves_no_task_and_no_connection_behind() -> None:
    """Left in mid-transfer with both directions held, it ends its tasks, and both sides of what was open."""
    async with proxied() as (outer, upstream):
        before = asyncio.all_tasks()
        async with FaultProxy((LOOPBACK, upstream.port)) as proxy:
            port = proxy.port
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            await echoed((reader, writer), b"hello")
            proxy.switch(HANG)
            writer.write(bytes(500_000))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert await upstream.ended.get() == "reset"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, port)
        assert (proxy.open_connections, outer.counts.connections) == (0, 0)
        assert asyncio.all_tasks() == before
