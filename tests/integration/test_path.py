"""The whole path, through a real broker, a real store and a worker of its own process with real weights."""

import asyncio
import hashlib
import io
from pathlib import Path

import confluent_kafka
import numpy as np
import orjson
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from pipeline.embedded.stack import worker
from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas.events import JobEvent, UpscaleCompleted, UpscaleFailed, UpscaleRequested
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.deployment_local import MODEL, PATIENCE_SECONDS, deployment, request

pytestmark = [pytest.mark.integration, pytest.mark.weights]
GENERATED = Path(__file__).parents[2] / "schemas" / "generated"


def picture(seed: int, side: int = 24) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "PNG")
    return target.getvalue()


async def ended(session: Session, *requests: UpscaleRequested) -> dict[str, JobEvent]:
    for each in requests:
        await session.ask(each, Lane.INTERACTIVE)
    jobs = {each.job_id for each in requests}
    return {event.job_id: event async for event in session.events(jobs) if event.terminal}


def foreign_reader(local: Settings, topic: str, wanted: str) -> tuple[dict[str, str], bytes]:
    """The first event of the type `wanted`, as a client reads it that knows nothing of us."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": local.kafka.servers, "group.id": "foreign"})
    partitions = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign(
        [confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING) for number in partitions]
    )
    try:
        while (message := consumer.poll(30.0)) is not None:
            headers = {name: (value or b"").decode() for name, value in message.headers() or []}
            if headers["ce_type"] == wanted:
                return headers, message.value() or b""
    finally:
        consumer.close()
    raise AssertionError(f"no event of type {wanted} within 30 s of the last")


async def test_request_becomes_an_object_and_an_event_that_a_stranger_can_read(tmp_path: Path) -> None:
    """The completion validates against the committed schema, and names an object with these bytes and this size."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        worker(tmp_path, local),
        connect(local) as session,
    ):
        good = request(await upload(session.store, "test", picture(1)))
        broken = request(await upload(session.store, "test", b"not a picture"))
        missing = request("nothing-there")
        events = await ended(session, good, broken, missing)

        done = events[good.job_id]
        assert isinstance(done, UpscaleCompleted)
        path = await session.download(done, tmp_path / "result.png")
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == done.result.sha256
        with Image.open(io.BytesIO(content)) as result:
            assert result.size == (96, 96)

        codes = {job: event.failure.code for job, event in events.items() if isinstance(event, UpscaleFailed)}
        assert codes == {
            broken.job_id: FailureCode.IMAGE_FORMAT_UNSUPPORTED,
            missing.job_id: FailureCode.SOURCE_STATUS,
        }

        headers, value = await asyncio.to_thread(
            foreign_reader, local, session.topics.events.name, UpscaleCompleted.type
        )
        schema = orjson.loads((GENERATED / "json-schema" / f"{headers['ce_type']}.json").read_bytes())
        Draft202012Validator(schema).validate(orjson.loads(value))
        assert headers["ce_subject"] == good.job_id


async def test_bare_json_from_a_foreign_client_is_upscaled(tmp_path: Path) -> None:
    """The README's request, sent by a client that is not ours, without CloudEvents and without a job id."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        worker(tmp_path, local),
        connect(local) as session,
    ):
        name = await upload(session.store, "default", picture(2))
        producer = confluent_kafka.Producer({"bootstrap.servers": local.kafka.servers})
        body = {"job_id": "cat-1", "source": f"upload:{name}", "options": {"model": MODEL, "scale": 2}}
        producer.produce(session.topics.requests[Lane.BULK].name, orjson.dumps(body))
        await asyncio.to_thread(producer.flush, 10.0)
        events = [event async for event in session.events({"cat-1"}) if event.terminal]
        assert isinstance(events[0], UpscaleCompleted)
        assert (events[0].result.width, events[0].result.height) == (48, 48)
