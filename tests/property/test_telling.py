"""When the requester of a running job is called, whatever has happened."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.jobs import JobRow, Told
from pipeline.state.telling import FORGET_SECONDS, LEAST_SECONDS, TELL_SECONDS, follows, next_telling
from schemas.callbacks import Webhook, WebhookMode
from schemas.webhooks import JobState
from tests.support.job_histories import EVENTS, NOW, WEBHOOKS, row_in

SYNC = Webhook(url="https://one.example/", mode=WebhookMode.SYNC)
MOMENTS = st.floats(NOW - 2 * FORGET_SECONDS, NOW + 2 * FORGET_SECONDS)


@st.composite
def rows(draw: st.DrawFn) -> JobRow:
    """A job at any time, told of or not, of what it last said or of something before."""
    row = replace(row_in(draw(EVENTS)), event_at=draw(MOMENTS), webhook=draw(st.just(SYNC) | st.none() | WEBHOOKS))
    told = Told(draw(st.integers(1, 99)), draw(MOMENTS), draw(st.sampled_from([row.event_id, "another"])))
    return replace(row, told=draw(st.sampled_from([Told(), told])))


@given(rows(), MOMENTS)
def test_nobody_is_called_who_does_not_want_it_or_whose_job_has_ended(row: JobRow, now: float) -> None:
    if row.state.terminal or not follows(row.webhook):
        assert next_telling(row, now) is None


@given(rows(), MOMENTS)
def test_calls_are_neither_further_apart_nor_closer_than_promised(row: JobRow, now: float) -> None:
    """By our own clock: that of the worker who said something may be anywhere."""
    due = next_telling(row, now)
    if due is None:
        return
    if row.told.at is None:
        assert due <= now + TELL_SECONDS
    else:
        assert row.told.at + LEAST_SECONDS <= due <= row.told.at + TELL_SECONDS


@given(rows(), MOMENTS, st.sampled_from([JobState.QUEUED, JobState.RUNNING]))
def test_job_is_told_of_unless_it_has_been_silent_for_a_day(row: JobRow, now: float, state: JobState) -> None:
    """A call that would be made later than that is not made; all others are."""
    row = replace(row, state=state, webhook=SYNC)
    due = next_telling(row, now)
    if due is not None:
        assert max(due, now) - row.event_at <= FORGET_SECONDS
    elif row.told.at is None or row.told.at <= now:
        assert now - row.event_at > FORGET_SECONDS - TELL_SECONDS


@given(rows(), MOMENTS, st.floats(0, FORGET_SECONDS))
def test_news_bring_the_next_call_forward(row: JobRow, now: float, passed: float) -> None:
    """To the shortest distance from the last one; without news it is the longest."""
    told = Told(1, now, row.event_id)
    silent = next_telling(replace(row, told=told), now + passed)
    news = next_telling(replace(row, told=replace(told, event_id="before")), now + passed)
    if silent is not None:
        assert (silent, news) == (now + TELL_SECONDS, now + LEAST_SECONDS)
