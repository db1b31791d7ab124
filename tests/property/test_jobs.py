"""The row of a job, whatever its events are and however they arrive."""

from dataclasses import replace
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.jobs import Told, merged, status_of
from schemas.callbacks import Webhook, WebhookMode
from schemas.events import Event, UpscaleRequested
from schemas.webhooks import JobState
from tests.support.job_histories import EVENTS, HISTORIES, LABELS, WEBHOOKS, event_of, row_in

SYNC = Webhook(url="https://one.example/", mode=WebhookMode.SYNC)

REQUESTS = st.builds(
    UpscaleRequested, job_id=st.just("j"), source=st.just("s"), labels=LABELS, webhook=st.just(SYNC) | WEBHOOKS
).map(lambda data: event_of(data, None))


@given(HISTORIES, st.data())
def test_any_order_and_any_repetition_make_the_same_row(history: list[Event], data: st.DataObject) -> None:
    """So partitions may be read again from anywhere, and by two at a time."""
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    assert reduce(merged, map(row_in, shuffled)) == reduce(merged, map(row_in, history))


@given(HISTORIES, st.data())
def test_rows_merge_in_whatever_groups_they_come(history: list[Event], data: st.DataObject) -> None:
    """A batch may be merged by itself before it meets what is known."""
    rows = [row_in(event) for event in history]
    cut = data.draw(st.integers(0, len(rows) - 1))
    left, right = rows[: cut + 1], rows[cut + 1 :]
    grouped = merged(reduce(merged, left), reduce(merged, right)) if right else reduce(merged, left)
    assert grouped == reduce(merged, rows)


@given(HISTORIES, EVENTS)
def test_row_never_moves_down(history: list[Event], late: Event) -> None:
    """What has ended stays ended, and the last of its ends is the one that holds."""
    before = reduce(merged, map(row_in, history))
    after = merged(before, row_in(late))
    assert after.height == max(before.height, row_in(late).height)
    assert after.state.terminal or not before.state.terminal


@given(HISTORIES)
def test_request_part_is_that_of_the_first_request(history: list[Event]) -> None:
    """A second request under the same name moves neither the webhook nor the labels."""
    row = reduce(merged, map(row_in, history))
    requests = [event for event in history if isinstance(event.data, UpscaleRequested)]
    first = min((event.time.timestamp() for event in requests if event.time), default=None)
    assert row.created_at == first
    of_the_first = [event.data for event in requests if event.time and event.time.timestamp() == first]
    said = [(data.webhook, data.labels) for data in of_the_first if isinstance(data, UpscaleRequested)]
    assert (row.webhook, row.labels) in said or first is None


@given(HISTORIES)
def test_every_row_makes_a_status(history: list[Event]) -> None:
    """Whatever has been heard of a job, its owner can be told."""
    row = reduce(merged, map(row_in, history))
    status = status_of(row, "https://signed.example/")
    assert (status.state, status.labels) == (row.state, row.labels)
    assert (status.ended_at is not None) == row.state.terminal
    assert (status.result is not None) == (row.state is JobState.COMPLETED)
    assert status.result is None or status.result.url == "https://signed.example/"
    assert (status.failure is not None) == (row.state is JobState.FAILED)


@given(st.lists(REQUESTS, min_size=2, max_size=3), st.data())
def test_requests_of_one_moment_are_told_apart_by_what_they_say(requests: list[Event], data: st.DataObject) -> None:
    """Somebody sends two under one name at once: which one counts must not hang on the order either."""
    rows = [row_in(event) for event in requests]
    assert reduce(merged, data.draw(st.permutations(rows))) == reduce(merged, rows)


def test_told_is_that_of_the_last_call() -> None:
    """Rows of events know of no calls; they take nothing away."""
    event = Event(id="1", source="/t", data=UpscaleRequested(job_id="j", source="s", webhook=SYNC))
    fresh = row_in(event)
    told = Told(2, 5.0, "1")
    assert merged(fresh, replace(fresh, told=told)).told == merged(replace(fresh, told=told), fresh).told == told
