from hypothesis import given
from hypothesis import strategies as st

from pipeline.dispatcher.retry_after import retry_after_seconds
from pipeline.dispatcher.schedule import BUSY_SECONDS, DELAYS_SECONDS, JITTER, MAX_RETRY_AFTER_SECONDS, following
from pipeline.state.records import Abandoned, Answer, EndpointKind, Outcome, Reason, RetryAt
from tests.support.attempts import pending

NOW = 1_700_000_000.0
ROUNDING = 1e-6
CHANCES = st.floats(0, 1, exclude_max=True)
FAILURES = st.sampled_from([outcome for outcome in Outcome if outcome not in (Outcome.DELIVERED, Outcome.GONE)])
STATUSES = st.none() | st.integers(200, 599)
RETRY_AFTERS = st.none() | st.floats(0, 1e12)
KINDS = st.sampled_from(EndpointKind)


@given(st.integers(0, 6), FAILURES, STATUSES, RETRY_AFTERS, CHANCES)
def test_wait_lies_between_what_is_planned_and_what_is_asked_for(
    before: int, outcome: Outcome, status: int | None, asked: float | None, chance: float
) -> None:
    """Never before the schedule's band, nor before what the receiver wants, nor after both nor after a day."""
    answer = Answer(outcome, status, asked, NOW, 1.0)
    found = following(pending(attempts=before), answer, NOW, chance)
    assert isinstance(found, RetryAt)
    wait, planned = found.at - NOW, DELAYS_SECONDS[before + 1]
    wanted = min(asked if asked is not None else 0.0, MAX_RETRY_AFTER_SECONDS)
    most = max(planned, wanted, BUSY_SECONDS if asked is None else 0.0) * (1 + JITTER)
    assert max(planned * (1 - JITTER), wanted) - ROUNDING <= wait
    assert wait <= min(most, MAX_RETRY_AFTER_SECONDS) + ROUNDING


@given(st.integers(0, 6), CHANCES)
def test_wait_without_a_wish_stays_in_the_band(before: int, chance: float) -> None:
    found = following(pending(attempts=before), Answer(Outcome.TIMEOUT, None, None, NOW, 30.0), NOW, chance)
    assert isinstance(found, RetryAt)
    assert abs((found.at - NOW) / DELAYS_SECONDS[before + 1] - 1) <= JITTER + ROUNDING


@given(KINDS, st.lists(st.tuples(FAILURES, STATUSES, RETRY_AFTERS, CHANCES), min_size=8, max_size=8))
def test_delivery_that_only_fails_ends_at_the_eighth_attempt_at_the_latest(
    kind: EndpointKind, failures: list[tuple[Outcome, int | None, float | None, float]]
) -> None:
    """Whatever is answered, each attempt lies after the one before, and the last is the last."""
    now = NOW
    for before, (outcome, status, asked, chance) in enumerate(failures):
        found = following(pending(kind=kind, attempts=before), Answer(outcome, status, asked, now, 1.0), now, chance)
        if isinstance(found, Abandoned):
            assert found.reason is Reason.EXHAUSTED
            assert before == 7 or (kind is EndpointKind.REQUEST and before >= 2)
            return
        assert isinstance(found, RetryAt)
        assert found.at > now
        now = found.at
    raise AssertionError("still alive after the eighth attempt")


@given(st.text(max_size=40), st.none() | st.text(max_size=40), st.floats(0, 4e9))
def test_retry_after_of_any_text_is_a_wait_or_nothing(value: str, date: str | None, now: float) -> None:
    found = retry_after_seconds(value, date, now)
    assert found is None or found >= 0


DATE_LIKE = st.lists(
    st.sampled_from(
        ["Wed,", "Wednesday,", "21", "Oct", "21-Oct-26", "2026", "99999", "07:28:00", "7.28", "GMT", "+99", "-"]
    ),
    max_size=8,
).map(" ".join)


@given(DATE_LIKE, DATE_LIKE)
def test_retry_after_of_any_pieces_of_a_date_is_a_wait_or_nothing(value: str, date: str) -> None:
    """The standard library's parser is lenient, and has raised what it should not before."""
    found = retry_after_seconds(value, date, NOW)
    assert found is None or found >= 0
