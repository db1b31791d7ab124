"""`upscale topics lag` against real brokers: what lies before the workers, and what is thought of it."""

import argparse
import asyncio
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from pipeline.kafka.publish import Publisher
from pipeline.settings import IntakeSettings, KafkaSettings, Settings
from pipeline.tools import topics as tool
from schemas import codec
from schemas.events import UpscaleCompleted, event_from
from schemas.topics import Lane, Topics
from tests.support import job_events
from tests.support.letters import park_all
from tests.support.requests import make_received
from tests.support.streams import consuming, put, take
from tests.support.waiting import until

pytestmark = pytest.mark.integration
ENDED = datetime(2026, 1, 2, 3, 4, 10, tzinfo=UTC)


def completed(job_id: str, side: int) -> UpscaleCompleted:
    """Of a square picture, in five seconds."""
    like = job_events.completed(side, side, scale=1)
    return like.model_copy(update={"job_id": job_id, "processing_seconds": 5.0})


async def test_lag_counts_what_is_not_committed_and_estimates_its_work(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Committed requests do not count, marks are no letters, and the estimate follows from the completed jobs."""
    bulk = topics.requests[Lane.BULK].name
    await put(kafka, bulk, b"{}", b"{}", b"{}")
    await put(kafka, topics.retries[Lane.INTERACTIVE][1].name, b"{}")
    await park_all(kafka, topics, make_received())
    async with consuming(kafka, topics) as consumer:
        consumer.finish((await take(consumer, 1, Lane.BULK))[0].position)
    async with Publisher(kafka) as publisher:
        for number, side in enumerate((1000, 2000)):
            ended = ENDED + timedelta(seconds=5 * number)
            event = event_from(completed(f"job-{number}", side), source="/test", time=ended)
            await publisher.publish(topics.events.name, codec.encode(event))

    capsys.readouterr()
    config = Settings(kafka=kafka, intake=IntakeSettings(lease_seconds=0))
    assert await asyncio.to_thread(tool.main, argparse.Namespace(action="lag", json=True), config) == 0

    told = orjson.loads(capsys.readouterr().out)
    found = told["backlogs"]
    assert {name: each["messages"] for name, each in found.items()} == {
        "interactive": 0,
        "bulk": 2,
        "retries": 1,
        "dead letters": 1,
    }
    assert found["interactive"]["oldest_seconds"] is None
    assert 0 <= found["bulk"]["oldest_seconds"] < 60
    assert told["estimated_from"] == {
        "completed_jobs": 2,
        "source_megapixels_each": 2.5,
        "source_megapixels_per_second": 0.5,
    }
    assert (found["bulk"]["megapixels"], found["bulk"]["work_seconds"]) == (5.0, 10.0)
    assert found["dead letters"]["work_seconds"] is None


async def test_lag_without_any_completed_job_says_that_its_work_is_not_known(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guess is not printed as a figure."""
    await put(kafka, topics.requests[Lane.INTERACTIVE].name, b"{}")
    capsys.readouterr()
    config = Settings(kafka=kafka, intake=IntakeSettings(lease_seconds=0))
    await asyncio.to_thread(tool.main, argparse.Namespace(action="lag", json=False), config)
    out = capsys.readouterr().out.splitlines()
    assert out[1].split()[:2] == ["interactive", "1"]
    assert out[1].split()[-2:] == ["-", "-"]
    assert out[-1] == "* not known: no job among the newest events was completed."


async def test_consumer_counts_what_it_has_not_finished_and_what_it_has_not_yet_seen(
    kafka: KafkaSettings, topics: Topics
) -> None:
    """Records in work, records that wait, and records that were committed by an earlier worker are told apart."""
    bulk = topics.requests[Lane.BULK].name
    await put(kafka, bulk, *[b"{}"] * 6)
    async with consuming(kafka, topics) as consumer:
        for record in await take(consumer, 2, Lane.BULK):
            consumer.finish(record.position)
    async with consuming(kafka, topics, capacity=1) as consumer:

        async def behind(expected: int) -> bool:
            await asyncio.sleep(0)
            found = await consumer.behind()
            return found == {Lane.INTERACTIVE: 0, Lane.BULK: expected}

        await until(lambda: behind(4))
        first, second = await take(consumer, 2, Lane.BULK)
        consumer.finish(second.position)
        assert await behind(4)
        consumer.finish(first.position)
        assert await behind(2)
