"""A worker that is gone without a word."""

import asyncio
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.embedded.stack import worker
from pipeline.kafka.follow import follow
from pipeline.storage.transfer import upload
from pipeline.tools.session import connect
from schemas import codec
from schemas.events import UpscaleCompleted, UpscaleStarted
from schemas.topics import Lane
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request

pytestmark = [pytest.mark.fault, pytest.mark.weights]
JOBS = 8
SIDE = 160


def picture(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "PNG")
    return target.getvalue()


async def test_kill_nine_in_mid_job_loses_no_job_and_makes_one_object_and_one_event_id_each(tmp_path: Path) -> None:
    """What the first worker held is done by the second; whatever was repeated is recognisable as the same."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        connect(local) as session,
        follow(local.kafka, session.topics.events.name) as follower,
    ):
        requests = [request(await upload(session.store, "test", picture(seed))) for seed in range(JOBS)]
        ids: dict[str, Counter[str]] = {each.job_id: Counter() for each in requests}
        async with worker(tmp_path, local) as first:
            for each in requests:
                await session.ask(each, Lane.BULK)
            async for record in follower:
                if isinstance(codec.decode(record.value, record.headers, origin=record.origin).data, UpscaleStarted):
                    break
            await first.kill()

        async with worker(tmp_path, local):
            async for record in follower:
                event = codec.decode(record.value, record.headers, origin=record.origin)
                if isinstance(event.data, UpscaleCompleted):
                    ids[event.data.job_id][event.id] += 1
                if all(ids.values()):
                    break

        assert all(len(found) == 1 for found in ids.values())
        listed = await session.store.s3.list_objects_v2(Bucket=local.store.bucket, Prefix="results/test/")
        stored = Counter(entry["Key"].split("/")[2] for entry in listed["Contents"])
        assert stored == Counter({each.job_id: 1 for each in requests})
