"""Jobs that failed through our own fault, played again once it is cured."""

import asyncio
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from PIL import Image

from pipeline.kafka.deadletter import park
from pipeline.kafka.records import Received
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas import codec
from schemas.events import UpscaleCompleted, UpscaleRequested, event_from
from schemas.topics import Lane, Topics
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.fake_worker import FakeWorker, fake_worker
from tests.support.letters import CRASH_LOOP, Dlq, all_of
from tests.support.requests import APPENDED, make_received

pytestmark = pytest.mark.fault
FEW = 100
RATE = 50
SIDE = 8


async def parked(session: Session, jobs: int) -> list[UpscaleRequested]:
    """Requests for one small picture, each parked as if a worker had given it up."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(file, "PNG")
    name = await upload(session.store, "test", file.getvalue())
    requests = [request(name) for _ in range(jobs)]
    letters = session.topics.dead_letters.name
    records = [received(each, number, session.topics) for number, each in enumerate(requests)]
    await asyncio.gather(*(park(session.publisher, letters, each, CRASH_LOOP) for each in records))
    return requests


def received(request: UpscaleRequested, offset: int, topics: Topics) -> Received:
    message = codec.encode(event_from(request, source="/test", time=APPENDED))
    record = make_received(topic=topics.requests[Lane.BULK].name, lane=Lane.BULK, offset=offset, key=message.key)
    return replace(record, value=message.value, headers=message.headers)


async def completions(session: Session, jobs: set[str]) -> Counter[str]:
    """How often each job was said to be completed, until all have been."""
    said: Counter[str] = Counter()
    async for record in session.follower:
        event = codec.decode(record.value, record.headers, origin=record.origin).data
        if isinstance(event, UpscaleCompleted):
            said[event.job_id] += 1
        if jobs <= said.keys():
            break
    return said


@pytest.mark.parametrize("count", [FEW, pytest.param(1000, marks=pytest.mark.faults)])
async def test_parked_jobs_complete_under_their_ids_when_played_again_at_a_chosen_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    """Each once and no faster than was asked; calling it again sends nothing."""
    async with asyncio.timeout(PATIENCE_SECONDS), deployment(tmp_path) as local, connect(local) as session:
        jobs = {each.job_id for each in await parked(session, count)}
        tool = Dlq(local.kafka, capsys)
        async with fake_worker(tmp_path, local, FakeWorker(tmp_path / "journal")):
            heard = asyncio.create_task(completions(session, jobs))
            started = monotonic()
            code, told = await tool.run("replay", "--reason", "crash_loop", "--rate", f"{RATE}/s")
            seconds = monotonic() - started
            said = await heard

        assert (code, told) == (0, f"{count} of {count} letters sent\n")
        assert seconds >= (count - 1) / RATE
        assert said == Counter(jobs)
        assert await tool.run("replay", "--all") == (0, "0 of 0 letters sent\n")
        assert len(await all_of(local.kafka, session.topics.requests[Lane.BULK].name)) == count
