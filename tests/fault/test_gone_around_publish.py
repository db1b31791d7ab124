"""A worker that is gone between storing a result and committing its request."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pipeline.gpu.device import choose, probe
from pipeline.kafka.consume import Consumer
from pipeline.kafka.follow import Follower, follow
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from pipeline.worker import app
from pipeline.worker.announce import Announcer
from pipeline.worker.loop import Ports, Worker
from pipeline.worker.outbox import Outbox
from pipeline.worker.steps import do
from schemas import codec
from schemas.events import Event, JobEvent, UpscaleCompleted
from schemas.topics import Lane, declare
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.picture_files import photo, saved
from tests.support.streams import committed, until_committed

pytestmark = [pytest.mark.fault, pytest.mark.weights]
Say = Callable[[JobEvent], Awaitable[None]]


async def work(local: Settings, say: Callable[[Say], Say]) -> None:
    """A worker in this process, between real rooms; `say` wraps how it tells outcomes."""
    topics = declare(local.kafka.topic_prefix, partitions=local.kafka.partitions)
    async with Publisher(local.kafka) as publisher:
        outbox = Outbox(publisher, topics, local.telemetry.event_source)
        async with (
            Announcer(outbox.say, monotonic) as announcer,
            app._rooms(local, choose(local.device, probe()), announcer) as rooms,
            Consumer(local.kafka, topics, OffsetLedger()) as consumer,
        ):
            ports = Ports(
                records=consumer,
                do=partial(do, rooms=rooms),
                say=say(announcer.conclude),
                announce=announcer.announce,
                park=outbox.park,
                pause=outbox.pause,
            )
            await Worker(ports, app._intake(local), jobs_per_lane=4, now=monotonic).run()


async def completions(follower: Follower, count: int) -> dict[str, list[Event]]:
    """The next `count` completions, by job."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    while sum(map(len, found.values())) < count:
        record = await anext(follower)
        event = codec.decode(record.value, record.headers, origin=record.origin)
        if isinstance(event.data, UpscaleCompleted):
            found[event.data.job_id].append(event)
    return found


async def objects(session: Session) -> dict[str, Any]:
    """When each result was written, by key."""
    bucket = session.store.settings.bucket
    listed = await session.store.s3.list_objects_v2(Bucket=bucket, Prefix="results/")
    return {entry["Key"]: (entry["LastModified"], entry["ETag"]) for entry in listed["Contents"]}


async def test_worker_gone_around_its_publish_leaves_one_object_one_event_id_and_nothing_committed(
    tmp_path: Path,
) -> None:
    """Before the event or after it: the next worker tells of the object that is there, and only then lets go."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        connect(local) as session,
        follow(local.kafka, session.topics.events.name) as follower,
    ):
        topic = session.topics.requests[Lane.BULK].name
        untold = request(await upload(session.store, "test", saved(photo(), "PNG")))
        told = request(await upload(session.store, "test", saved(photo(), "PNG")))
        reached: set[str] = set()
        both = asyncio.Event()

        def stop_there(say: Say) -> Say:
            async def saying(event: JobEvent) -> None:
                if event.job_id == told.job_id:
                    await say(event)
                reached.add(event.job_id)
                if len(reached) == 2:
                    both.set()
                await asyncio.Event().wait()

            return saying

        first = asyncio.create_task(work(local, stop_there))
        for each in (untold, told):
            await session.ask(each, Lane.BULK)
        await both.wait()
        first.cancel()
        await asyncio.wait([first])
        stored = await objects(session)
        assert len(stored) == 2
        assert await committed(local.kafka, topic) == {}

        second = asyncio.create_task(work(local, lambda say: say))
        found = await completions(follower, 3)
        await until_committed(local.kafka, topic, lambda offsets: sum(offsets.values()) == 2)
        second.cancel()
        await asyncio.wait([second])

        assert await objects(session) == stored
        assert {job: len(events) for job, events in found.items()} == {untold.job_id: 1, told.job_id: 2}
        repeat = found[told.job_id]
        assert repeat[0].id == repeat[1].id
        assert [each.data.result for each in repeat if isinstance(each.data, UpscaleCompleted)][1:] == [
            each.data.result for each in repeat[:1] if isinstance(each.data, UpscaleCompleted)
        ]
