"""What a requester is told of its jobs."""

from collections.abc import AsyncIterator, Set
from datetime import UTC, datetime

import pytest

from pipeline.kafka.follow import Followed
from pipeline.tools.session import Told, events_of
from schemas import codec
from schemas.events import UpscaleStarted, event_from
from tests.support import job_events

START = datetime(2026, 1, 1, tzinfo=UTC)
DONE = job_events.completed()


def followed(event: Told) -> Followed:
    message = codec.encode(event_from(event, source="/test", time=START))
    return Followed(message.value, message.headers, "events/0/0")


def of_a_later_version(event: Told) -> Followed:
    record = followed(event)
    headers = tuple((name, value.replace(b".v1", b".v2")) for name, value in record.headers)
    return Followed(record.value, headers, record.origin)


async def told(*records: Followed, jobs: Set[str] = frozenset({job_events.JOB})) -> list[Told]:
    async def topic() -> AsyncIterator[Followed]:
        for record in records:
            yield record

    return [event async for event in events_of(topic(), set(jobs))]


async def test_requester_hears_of_its_own_jobs_until_they_end() -> None:
    """Of no other's, and not of an end that is repeated."""
    other = followed(UpscaleStarted(job_id="other"))

    assert await told(other, followed(job_events.STARTED), followed(DONE), followed(DONE)) == [job_events.STARTED, DONE]


async def test_requester_hears_that_its_webhook_is_not_called() -> None:
    """The job goes on all the same; a short one may have ended, while others go on."""
    rejected = followed(job_events.REJECTED)
    assert await told(rejected, followed(DONE)) == [job_events.REJECTED, DONE]
    jobs = {job_events.JOB, "other"}
    assert await told(followed(DONE), rejected, jobs=jobs) == [DONE, job_events.REJECTED]


@pytest.mark.parametrize(
    "stray",
    [of_a_later_version(job_events.STARTED), Followed(b"?", (), "events/0/1"), Followed(None, (), "events/0/2")],
    ids=["a later version", "not an event", "no value"],
)
async def test_requester_passes_over_what_it_cannot_read(stray: Followed) -> None:
    """It would otherwise end without a word on jobs that go on."""
    assert await told(stray, followed(DONE)) == [DONE]
