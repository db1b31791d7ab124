"""Headers of records that are handed on, whatever strangers wrote into them."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kafka.retry import OURS, Headers, due, handed_on, history, played_again
from schemas import topics
from schemas.topics import TIERS, Tier
from tests.support.events import MOMENTS

NOT_THEIRS = OURS | topics.DEAD_LETTER_HEADERS | {topics.REPLAY}
NAMES = st.sampled_from(sorted(NOT_THEIRS | {"theirs", "traceparent"}))
TIMES = st.datetimes(timezones=st.timezones()).map(lambda when: when.isoformat().encode())
VALUES = st.binary(max_size=8) | st.integers(-5, 10**6).map(lambda number: str(number).encode()) | TIMES
HEADERS: st.SearchStrategy[Headers] = st.lists(st.tuples(NAMES, VALUES), max_size=8).map(tuple)
RIM: Headers = ((topics.FIRST_SEEN, b"0001-01-01T00:00:00+14:00"),)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def theirs(headers: Headers) -> list[tuple[str, bytes]]:
    return [header for header in headers if header[0] not in NOT_THEIRS]


@given(HEADERS, st.integers(1, 10**6), st.sampled_from(TIERS), MOMENTS)
@example(RIM, 2, TIERS[0], NOON)
def test_what_is_handed_on_is_read_back_as_it_was_written(
    headers: Headers, attempt: int, tier: Tier, now: datetime
) -> None:
    """Attempt, time and reason are those of this time; the beginning and the generation stay, and so does theirs."""
    before = history(headers)
    handed = handed_on(headers, attempt=attempt, tier=tier, reason="leased", now=now)
    after = history(handed)
    assert (after.attempt, after.replay) == (attempt, before.replay)
    assert after.first_seen == (before.first_seen or now)
    assert due(handed) == now + timedelta(seconds=tier.delay_seconds)
    assert theirs(handed) == theirs(headers)
    assert all([name for name, _ in handed].count(ours) == 1 for ours in OURS)


@given(HEADERS)
def test_replay_is_the_next_generation_and_begins_anew(headers: Headers) -> None:
    """Nothing of what was tried, or why it was parked, is left on it."""
    again = played_again(headers)
    found = history(again)
    assert (found.attempt, found.first_seen, due(again)) == (1, None, None)
    assert found.replay == history(headers).replay + 1
    assert theirs(again) == theirs(headers)
    assert {name for name, _ in again} & NOT_THEIRS == {topics.REPLAY}
