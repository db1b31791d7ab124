"""An input that kills every worker that begins it, or its device."""

import asyncio
import signal
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.kafka.follow import follow
from pipeline.lifecycle import Exit
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas import codec, topics
from schemas.events import UpscaleCompleted, UpscaleFailed, UpscaleRequested, event_from
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.device_faults import DeviceFault, DeviceTrouble
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import FakeWorker, fake_worker
from tests.support.fault_run import picture, plain_picture
from tests.support.history import Begun
from tests.support.recorder import read

pytestmark = [pytest.mark.integration, pytest.mark.fault]

INNOCENT = 5
LAW = LatencyLaw(setup_seconds=0.3)
"""The innocent are still on the device when the deadly one is begun."""
PICTURE, _ = picture(1, 16)
SHADE = 127
KILLS_DEVICE = DeviceFault(DeviceTrouble.DEADLY, SHADE)


async def ask(session: Session, asked: list[UpscaleRequested]) -> None:
    """All requests in one partition, so that one worker has all of them in hand."""
    for each in asked:
        message = codec.encode(event_from(each, source="/test", time=datetime.now(UTC)))
        topic = session.topics.requests[Lane.BULK].name
        await session.publisher.send(topic, key=b"together", value=message.value, headers=message.headers)


@pytest.mark.parametrize(
    ("kills", "status"), [("worker", -signal.SIGKILL), ("device", Exit.INTERNAL)], ids=["worker", "device"]
)
async def test_input_that_kills_three_workers_is_parked_and_those_beside_it_complete(
    tmp_path: Path, kills: str, status: int
) -> None:
    """It fails as `crash_loop` and is never begun again; what was in hand with it is not suspected for good."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        connect(local) as session,
        follow(local.kafka, session.topics.dead_letters.name) as dead_letters,
    ):
        name = await upload(session.store, "test", PICTURE)
        deadly = request(await upload(session.store, "test", plain_picture(SHADE)))
        innocent = [request(name) for _ in range(INNOCENT)]
        asked = [deadly, *innocent]
        how = FakeWorker(tmp_path / "journal", LAW)
        how = replace(how, device=KILLS_DEVICE) if kills == "device" else replace(how, deadly=deadly.job_id)
        await ask(session, [*innocent, deadly])
        for _ in range(local.intake.max_starts):
            async with fake_worker(tmp_path, local, how) as worker:
                assert await worker.ended() == status
        async with fake_worker(tmp_path, local, how):
            ends = [event async for event in session.events({each.job_id for each in asked}) if event.terminal]
            parked = await anext(dead_letters)

        failed = {event.job_id: event.failure.code for event in ends if isinstance(event, UpscaleFailed)}
        completed = {event.job_id for event in ends if isinstance(event, UpscaleCompleted)}
        executions = Counter(entry.job_id for entry in read([how.journal]) if isinstance(entry, Begun))
        assert failed == {deadly.job_id: FailureCode.CRASH_LOOP}
        assert completed == {each.job_id for each in innocent}
        assert dict(parked.headers)[topics.DEAD_LETTER_REASON] == b"crash_loop"
        assert executions[deadly.job_id] == local.intake.max_starts
