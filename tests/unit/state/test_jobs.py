"""Guarantees of pipeline.state.jobs that are said by example; the rest are in tests/property/test_jobs.py."""

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from pipeline.state.jobs import SKEW_SECONDS, merged, row_of, status_of
from schemas.callbacks import Webhook
from schemas.events import (
    CancelRequested,
    Event,
    EventData,
    UpscaleRequested,
    UpscaleStarted,
    WebhookEndpointDisabled,
    WebhookRejected,
)
from schemas.failures import FailureCode
from schemas.webhooks import JobState, Progress
from tests.support.job_events import JOB, completed, failed, progress
from tests.support.job_histories import row_in

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEBHOOK = Webhook(url="https://hooks.example/x")
REQUESTED = UpscaleRequested(job_id=JOB, source="https://example.com/a.png", labels={"a": "1"}, webhook=WEBHOOK)


def at(minutes: float, data: EventData) -> Event:
    return Event(id=f"{data.type}-{minutes}", source="/test", time=NOON + timedelta(minutes=minutes), data=data)


def test_status_of_a_completed_job_says_what_its_events_said() -> None:
    row = reduce(merged, map(row_in, (at(0, REQUESTED), at(1, progress(1, 4)), at(2, completed()))))
    status = status_of(row, "https://signed.example/k")
    assert (status.job_id, status.tenant, status.state) == (JOB, "default", JobState.COMPLETED)
    assert (status.created_at, status.updated_at) == (NOON, NOON + timedelta(minutes=2))
    assert status.ended_at == status.updated_at
    assert status.labels == {"a": "1"}
    assert status.progress is None
    assert status.result is not None
    assert (status.result.url, status.result.sha256) == ("https://signed.example/k", "ab" * 32)


def test_status_without_a_signed_address_names_the_store() -> None:
    result = status_of(row_in(at(0, completed()))).result
    assert result is not None
    assert result.url == "s3://upscale/results/k"


def test_status_of_a_running_job_says_how_far_it_is() -> None:
    status = status_of(row_in(at(0, progress(1, 4))))
    assert status.progress == Progress(stage="batch", tiles_done=1, tiles_total=4)
    assert (status.created_at, status.ended_at) == (None, None)


def test_job_that_was_played_again_ends_anew() -> None:
    """It failed, an operator played it again, and it completed: whichever is heard first."""
    ends = [row_in(at(1, failed())), row_in(at(5, completed()))]
    assert {merged(*ends).state, merged(*reversed(ends)).state} == {JobState.COMPLETED}


def test_end_outlasts_what_is_heard_of_the_run_later() -> None:
    late = merged(row_in(at(1, failed())), row_in(at(5, UpscaleStarted(job_id=JOB))))
    assert (late.state, late.event_at) == (JobState.FAILED, (NOON + timedelta(minutes=1)).timestamp())


@pytest.mark.parametrize(
    "data",
    [
        CancelRequested(job_id=JOB),
        WebhookRejected(job_id=JOB, reason=FailureCode.URL_BLOCKED, message="no"),
        WebhookEndpointDisabled(endpoint_id="ep_1", reason="gone"),
    ],
)
def test_event_that_says_nothing_of_the_state_has_no_row(data: EventData) -> None:
    assert row_of(at(0, data), NOON.timestamp()) is None


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (None, 0.0),
        (timedelta(days=-400), -400 * 86_400.0),
        (timedelta(seconds=SKEW_SECONDS), SKEW_SECONDS),
        (timedelta(seconds=SKEW_SECONDS + 1), 0.0),
        (timedelta(days=9000), 0.0),
    ],
)
def test_time_is_that_of_the_event_unless_it_has_not_come_yet(said: timedelta | None, taken: float) -> None:
    """What a caller dates years ahead would be told of for years."""
    event = Event(id="1", source="/test", time=None if said is None else NOON + said, data=REQUESTED)
    row = row_of(event, NOON.timestamp())
    assert row is not None
    assert (row.event_at - NOON.timestamp(), row.created_at) == (taken, row.event_at)


def test_names_that_the_database_cannot_hold_are_written_otherwise() -> None:
    """PostgreSQL knows no text with a zero in it, and whoever sends one must not stop us."""
    event = Event(id="a\0b", source="/test", time=NOON, data=REQUESTED)
    assert row_in(event).event_id == "a\N{SYMBOL FOR NULL}b"
