"""kill -9 of the dispatcher at each named point: every delivery arrives, each repeat is the same message."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.embedded.broker import embedded_broker
from pipeline.settings import Settings, StateSettings
from schemas.callbacks import Webhook
from tests.support.broker import broker_settings, created_topics
from tests.support.dispatching import Platform, dispatching, platform, prepared, running, until_called
from tests.support.fake_dispatcher import DispatcherPoint
from tests.support.webhooks import Receiver, receiver, status

pytestmark = pytest.mark.fault

LATEST = 4
"""A dispatcher dies at the latest when its point is reached for so often."""
LIFE_SECONDS = 60.0
ATTEMPT_SECONDS = 2.0
"""What a dead dispatcher had claimed is free for others a second after that."""


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """Of dispatchers that have a broker and a database to themselves."""
    async with embedded_broker(tmp_path) as broker:
        kafka = broker_settings(broker.servers)
        await created_topics(kafka)
        state = StateSettings(url=SecretStr(f"sqlite:///{tmp_path / 'upscale.db'}"))
        settings = dispatching(kafka, state, attempt_timeout_seconds=ATTEMPT_SECONDS)
        await prepared(settings)
        yield settings


def crashes(seed: int, count: int) -> Iterator[str]:
    """Where the dispatchers die, every point as often as any other."""
    chance = random.Random(seed)
    for number in range(count):
        point = list(DispatcherPoint)[number % len(DispatcherPoint)]
        yield f"{point}:{chance.randint(1, LATEST)}"


async def one_life(folder: Path, settings: Settings, crash: str, says: Platform, webhook: Webhook) -> set[str]:
    """Let a dispatcher live until it dies where it should, with new jobs all the while; which jobs those were."""
    asked: set[str] = set()
    async with running(folder, settings, crash) as dispatcher, asyncio.timeout(LIFE_SECONDS):
        died = asyncio.ensure_future(dispatcher.ended())
        while not died.done():
            request = await says.ask(webhook)
            await says.complete(request)
            asked.add(request.job_id)
            await asyncio.wait({died}, timeout=0.2)
        assert died.result() == -9, f"{crash}: ended with {died.result()}"
    return asked


async def outlived(folder: Path, settings: Settings, seed: int, count: int) -> tuple[set[str], Receiver]:
    """The jobs that so many dispatchers died with, and what has arrived in the end."""
    async with receiver(status(204)) as at, platform(settings) as says:
        asked: set[str] = set()
        for crash in crashes(seed, count):
            asked |= await one_life(folder, settings, crash, says, Webhook(url=at.url()))
        async with running(folder, settings):
            async with asyncio.timeout(LIFE_SECONDS):
                while {job for job, _, _ in messages(at)} < asked:
                    await until_called(at, len(at.calls) + 1)
    return asked, at


def messages(at: Receiver) -> list[tuple[str, str, bytes]]:
    """Job, message and body of each call."""
    found = []
    for call in at.calls:
        job = call.body.split(b'"job_id":"', 1)[1].split(b'"', 1)[0].decode()
        found.append((job, call.headers["webhook-id"], call.body))
    return found


@pytest.mark.parametrize("count", [len(DispatcherPoint), pytest.param(50, marks=pytest.mark.faults)])
async def test_every_delivery_survives_dispatchers_that_die_at_every_point(
    tmp_path: Path, settings: Settings, request: pytest.FixtureRequest, count: int
) -> None:
    """None is lost; whatever came twice came under one `webhook-id`, with the same bytes."""
    seed = int(request.config.getoption("--fault-seed"))
    asked, at = await outlived(tmp_path, settings, seed, count)

    told = defaultdict(set)
    for job, message, body in messages(at):
        told[job].add((message, body))
    assert told.keys() == asked
    assert {job for job, said in told.items() if len(said) != 1} == set()
    # Otherwise nobody died between a call and writing it down, and nothing was shown.
    assert len(at.calls) > len(asked)
