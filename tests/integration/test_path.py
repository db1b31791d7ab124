"""The whole path, through a real broker, a real store and a worker of its own process with real weights."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import orjson
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from PIL import Image

from pipeline.embedded.stack import worker
from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas import topics
from schemas.events import JobEvent, UpscaleCompleted, UpscaleFailed, UpscaleRequested
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support import foreign
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """Broker, store and one worker for all of these tests; none reads what another one asked for."""
    folder = tmp_path_factory.mktemp("path")
    async with asyncio.timeout(PATIENCE_SECONDS), deployment(folder) as local, worker(folder, local):
        yield local


async def test_request_becomes_an_object_and_an_event_that_a_stranger_can_read(local: Settings, tmp_path: Path) -> None:
    """The completion validates against the committed schema, and names an object with these bytes and this size."""
    async with asyncio.timeout(PATIENCE_SECONDS), connect(local) as session:
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

    records = foreign.read(local.kafka.servers, session.topics.events.name)
    told = next(
        each for each in records if each.headers["ce_type"] == done.type and each.headers["ce_subject"] == good.job_id
    )
    schema = orjson.loads((GENERATED / "json-schema" / f"{done.type}.json").read_bytes())
    Draft202012Validator(schema).validate(orjson.loads(told.value))


async def test_bare_json_from_a_foreign_client_is_upscaled(local: Settings) -> None:
    """The README's request, sent by a client that is not ours, without CloudEvents and without a job id."""
    async with asyncio.timeout(PATIENCE_SECONDS), connect(local) as session:
        name = await upload(session.store, "default", picture(2))
        body = {"job_id": "cat-1", "source": f"upload:{name}", "options": {"model": MODEL, "scale": 2}}
        foreign.send(local.kafka.servers, session.topics.requests[Lane.BULK].name, orjson.dumps(body))
        events = [event async for event in session.events({"cat-1"}) if event.terminal]
        assert isinstance(events[0], UpscaleCompleted)
        assert (events[0].result.width, events[0].result.height) == (48, 48)


async def test_undecodable_record_is_parked_with_its_origin_and_the_next_request_is_done(local: Settings) -> None:
    """What nobody can be told about is kept as it came, with where it lay and why; its partition is not held up."""
    async with asyncio.timeout(PATIENCE_SECONDS), connect(local) as session:
        requests = session.topics.requests[Lane.BULK].name
        name = await upload(session.store, "default", picture(3))
        body = {"job_id": "cat-2", "source": f"upload:{name}", "options": {"model": MODEL, "scale": 1}}
        # One key, hence one partition: the good request lies behind the bad record.
        bad = foreign.send(
            local.kafka.servers, requests, b"{not json", key=b"same", headers=[("sender", b"a stranger")]
        )
        good = foreign.send(local.kafka.servers, requests, orjson.dumps(body), key=b"same")
        events = [event async for event in session.events({"cat-2"}) if event.terminal]
        assert isinstance(events[0], UpscaleCompleted)

    assert good[0] == bad[0]
    parked = next(foreign.read(local.kafka.servers, session.topics.dead_letters.name))
    assert parked.value == b"{not json"
    assert parked.headers["sender"] == "a stranger"
    assert parked.headers[topics.DEAD_LETTER_REASON] == "malformed_json"
    assert "must be JSON" in parked.headers[topics.DEAD_LETTER_DETAIL]
    origin = (topics.ORIGIN_TOPIC, topics.ORIGIN_PARTITION, topics.ORIGIN_OFFSET)
    assert tuple(parked.headers[name] for name in origin) == (requests, str(bad[0]), str(bad[1]))
