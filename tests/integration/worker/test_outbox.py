"""What a worker says, as a broker's readers find it."""

from datetime import UTC, datetime

import pytest

from pipeline.errors import JobFailed
from pipeline.kafka.deadletter import Why
from pipeline.kafka.follow import follow
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from pipeline.telemetry import tracing
from pipeline.worker import outcome
from pipeline.worker.announce import Announcer
from pipeline.worker.breaker import Breaker
from pipeline.worker.outbox import Outbox
from schemas import codec
from schemas import topics as names
from schemas.events import UpscaleFailed, UpscaleProgress, UpscaleRequested, UpscaleStarted, event_from
from schemas.failures import FailureCode
from schemas.stages import Stage
from schemas.topics import Topics
from tests.support.clock import FakeClock
from tests.support.requests import make_received

pytestmark = pytest.mark.integration
REQUEST = UpscaleRequested(job_id="cat-1", tenant="zoo", source="https://example.com/cat.jpg")
FAILED = outcome.failed(REQUEST, JobFailed(FailureCode.SOURCE_STATUS, "source: got status 404"))
ENDED = event_from(FAILED, source="/test", time=datetime(2026, 1, 1, tzinfo=UTC))
STARTED = UpscaleStarted(job_id="cat-1", tenant="zoo")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def made(publisher: Publisher, topics: Topics) -> Outbox:
    return Outbox(publisher, topics, "/test", Breaker("broker", FailureCode.BROKER_UNAVAILABLE, changed=lambda: None))


def progress(done: int) -> UpscaleProgress:
    return UpscaleProgress(job_id="cat-1", tenant="zoo", stage=Stage.BATCH, tiles_done=done, tiles_total=9)


async def test_outcome_said_again_is_the_same_event_of_the_same_job(kafka: KafkaSettings, topics: Topics) -> None:
    """A repeat, by this worker or the next, is recognised by its id; progress has one for each count."""
    async with Publisher(kafka) as publisher, follow(kafka, topics.events.name) as follower:
        outbox = made(publisher, topics)
        for each in (FAILED, FAILED, progress(1), progress(2)):
            await outbox.mention(each)
        records = [await anext(follower) for _ in range(4)]
    events = [codec.decode(record.value, record.headers, origin=record.origin) for record in records]
    assert [event.data for event in events] == [FAILED, FAILED, progress(1), progress(2)]
    assert events[0].id == events[1].id
    assert len({event.id for event in events}) == 3
    assert {dict(record.headers)["ce_partitionkey"] for record in records} == {b"cat-1"}
    assert {(event.source, event.time is None) for event in events} == {("/test", False)}


async def test_event_carries_the_trace_of_its_job_across_the_broker(kafka: KafkaSettings, topics: Topics) -> None:
    """Sender and reader find the job in one trace, whether the event is said or announced."""
    incoming = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode()),)
    async with Publisher(kafka) as publisher, follow(kafka, topics.events.name) as follower:
        outbox = made(publisher, topics)
        async with Announcer(outbox.mention, FakeClock()) as announcer:
            with tracing.job_span(incoming):
                announcer.announce(STARTED)
            started = await anext(follower)
            with tracing.job_span(incoming):
                await announcer.conclude(ENDED, outbox.say)
            failed = await anext(follower)
    for record in (started, failed):
        assert dict(record.headers)["traceparent"].split(b"-")[1].decode() == TRACE


async def test_reader_hears_nothing_of_a_job_after_its_end(kafka: KafkaSettings, topics: Topics) -> None:
    """A job that fails as soon as it is begun is not heard to start afterwards."""
    async with Publisher(kafka) as publisher, follow(kafka, topics.events.name) as follower:
        outbox = made(publisher, topics)
        await outbox.mention(progress(1))
        async with Announcer(outbox.mention, FakeClock()) as announcer:
            announcer.announce(STARTED)
            await announcer.conclude(ENDED, outbox.say)
            await announcer.conclude(ENDED, outbox.say)
        heard = [await anext(follower) for _ in range(3)]
    types = [dict(record.headers)["ce_type"].decode() for record in heard]
    assert types == [UpscaleProgress.type, UpscaleFailed.type, UpscaleFailed.type]


async def test_record_that_nobody_can_be_told_about_lies_on_the_dead_letter_topic(
    kafka: KafkaSettings, topics: Topics
) -> None:
    """With its bytes, its own headers and the reason, for whoever looks into it."""
    record = make_received(value=b"not json", headers=(("theirs", b"1"),), partition=1, offset=5)
    async with Publisher(kafka) as publisher, follow(kafka, topics.dead_letters.name) as follower:
        await made(publisher, topics).park(record, Why("malformed_json", "event: must be JSON"))
        parked = await anext(follower)
    headers = dict(parked.headers)
    assert (parked.value, headers["theirs"]) == (b"not json", b"1")
    assert (headers[names.DEAD_LETTER_REASON], headers[names.ORIGIN_OFFSET]) == (b"malformed_json", b"5")
