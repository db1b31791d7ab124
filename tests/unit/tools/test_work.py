"""What completed jobs teach of those to come."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kafka.scan import Record
from pipeline.tools.work import Experience, Past, busy_seconds, completed, experience
from schemas import codec
from schemas.events import JobEvent, UpscaleStarted, event_from
from tests.support import job_events

DONE = job_events.completed()
START = datetime(2026, 1, 1, tzinfo=UTC)
SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12)


def past(megapixels: float, began: float, ended: float) -> Past:
    return Past(megapixels, START + timedelta(seconds=began), START + timedelta(seconds=ended))


def record(event: JobEvent) -> Record:
    message = codec.encode(event_from(event, source="/test", time=START))
    return Record("events", 0, 0, message.key, message.value, message.headers, START)


def test_speed_is_that_of_all_workers_while_any_was_at_work() -> None:
    """Two jobs side by side take the time once, and the night between two jobs counts for nothing."""
    jobs = [past(1, 0, 4), past(2, 2, 6), past(3, 1000, 1004)]
    assert experience(jobs) == Experience(3, 2.0, 0.6)


def test_estimate_is_proportional_to_the_messages() -> None:
    """Ten requests are ten mean pictures."""
    known = Experience(jobs=3, megapixels_each=2.0, megapixels_per_second=0.5)
    assert (known.megapixels(10), known.seconds(10)) == (20.0, 40.0)


def test_nothing_is_learnt_from_nothing() -> None:
    """Nor from jobs that took no time."""
    assert experience([]) is None
    assert experience([past(1, 5, 5)]) is None


@given(SPANS)
def test_busy_time_is_the_union_of_all_spans(spans: list[tuple[int, int]]) -> None:
    """However they overlap."""
    jobs = [past(1, began, began + length) for began, length in spans]
    seconds = {second for began, length in spans for second in range(began, began + length)}
    assert busy_seconds(jobs) == len(seconds)


def test_only_completed_jobs_count_and_each_once() -> None:
    """An event may be repeated, and the topic holds others and what is none."""
    noise = Record("events", 0, 1, None, b"?", (), START)
    started = record(UpscaleStarted(job_id="j1"))
    found = completed([record(DONE), record(DONE), started, noise])
    assert [each.megapixels for each in found] == [pytest.approx(DONE.source_width * DONE.source_height / 1e6)]
    assert found[0].ended - found[0].began == timedelta(seconds=DONE.processing_seconds)
