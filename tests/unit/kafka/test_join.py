"""Joining the group, with clients that fail by script; the server only takes connections."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, InvalidRequestError

from pipeline.errors import ServiceUnreachable
from pipeline.kafka.join import join
from pipeline.settings import KafkaSettings


class StartingClient:
    """Its start raises `error`, or waits for ever when that is None, unless told that it works."""

    def __init__(self, error: Exception | None, *, works: bool = False) -> None:
        self.error = error
        self.works = works
        self.stopped = False

    async def start(self) -> None:
        if self.error is not None:
            raise self.error
        if not self.works:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


@pytest.fixture
async def settings() -> AsyncIterator[KafkaSettings]:
    """The settings of a server that takes connections and says nothing."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield KafkaSettings(servers=f"127.0.0.1:{server.sockets[0].getsockname()[1]}", group="workers")


async def joined(settings: KafkaSettings, clients: Iterable[StartingClient], *, give_up_seconds: float = 60) -> object:
    supply = iter(clients)
    return await join(settings, lambda _: next(supply), give_up_seconds=give_up_seconds)


async def test_joining_is_tried_again_with_a_new_client(settings: KafkaSettings) -> None:
    """aiokafka's start may fail for what passes; a client that failed is stopped and not used again."""
    failed, good = StartingClient(InvalidRequestError("rebalancing")), StartingClient(None, works=True)
    assert await joined(settings, [failed, good]) is good
    assert (failed.stopped, good.stopped) == (True, False)


async def test_joining_without_permission_fails_at_once(settings: KafkaSettings) -> None:
    """Trying again would not help; the group is named."""
    client = StartingClient(GroupAuthorizationFailedError("workers"))
    with pytest.raises(ServiceUnreachable, match="joining group workers failed with GroupAuthorizationFailedError"):
        await joined(settings, [client])
    assert client.stopped


async def test_joining_gives_up_when_it_takes_too_long(settings: KafkaSettings) -> None:
    """A broker that answers nothing does not hold us for ever."""
    client = StartingClient(None)
    with pytest.raises(ServiceUnreachable, match="joining group workers failed with TimeoutError"):
        await joined(settings, [client], give_up_seconds=0.05)
    assert client.stopped


async def test_joining_that_is_cancelled_stops_its_client(settings: KafkaSettings) -> None:
    """SIGTERM during a start leaves no half-joined member."""
    client = StartingClient(None)
    joining = asyncio.create_task(joined(settings, [client]))
    await asyncio.wait({joining}, timeout=0.05)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert client.stopped
