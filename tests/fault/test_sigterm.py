"""A worker that is asked to stop with jobs in hand."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from pipeline.embedded.stack import worker
from pipeline.kafka.follow import follow
from pipeline.lifecycle import Exit
from pipeline.storage.transfer import upload
from pipeline.tools.session import connect
from schemas import codec
from schemas.events import UpscaleCompleted, UpscaleStarted
from schemas.topics import Lane
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.picture_files import photo, saved
from tests.support.streams import committed

pytestmark = [pytest.mark.fault, pytest.mark.weights]
JOBS = 6


async def test_sigterm_finishes_and_commits_what_was_begun_and_exits_clean(tmp_path: Path) -> None:
    """Nothing is done twice: each job that was begun is told and committed before the process ends with 0."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        connect(local) as session,
        follow(local.kafka, session.topics.events.name) as follower,
    ):
        topic = session.topics.requests[Lane.BULK].name
        requests = [request(await upload(session.store, "test", saved(photo(96, 96), "PNG"))) for _ in range(JOBS)]
        seen: Counter[type] = Counter()
        async with worker(tmp_path, local) as running:
            for each in requests:
                await session.ask(each, Lane.BULK)
            while not seen[UpscaleStarted]:
                record = await anext(follower)
                seen[type(codec.decode(record.value, record.headers, origin=record.origin).data)] += 1
            os.kill(running.pid, signal.SIGTERM)
            assert await running.ended() == Exit.CLEAN

        done = sum((await committed(local.kafka, topic)).values())
        while seen[UpscaleCompleted] < done:
            record = await anext(follower)
            seen[type(codec.decode(record.value, record.headers, origin=record.origin).data)] += 1
        assert seen[UpscaleStarted] == seen[UpscaleCompleted] == done >= 1
