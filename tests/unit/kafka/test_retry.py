"""Guarantees of pipeline.kafka.retry."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.kafka.retry import History, due, handed_on, history, moment, played_again, tier_after
from schemas import topics
from schemas.topics import TIERS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EARLIER = b"2026-01-01T00:00:00+00:00"


def test_record_without_headers_of_ours_stands_for_a_first_attempt() -> None:
    """Callers set none, and their jobs begin at the beginning."""
    assert history((("theirs", b"1"),)) == History(attempt=1, first_seen=None, replay=0)
    assert due((("theirs", b"1"),)) is None


@pytest.mark.parametrize("raw", [b"", b"0", b"-1", b"two", b"2.0", b" 2", b"\xff", b"\xb2", b"9" * 10, b"9" * 5000])
def test_attempt_that_is_not_as_we_write_it_counts_as_a_first_one(raw: bytes) -> None:
    """A header of that name may be a caller's own; it must neither end the worker nor the job."""
    assert history(((topics.ATTEMPT, raw),)).attempt == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"soon",
        b"\xff",
        b"2026-01-02",
        b"2026-01-02T03:04:05",
        b"0001-01-01T00:00:00+14:00",
        b"9999-12-31T23:59:59-14:00",
    ],
)
def test_time_without_a_zone_or_beyond_the_calendar_counts_as_absent(raw: bytes) -> None:
    """Which moment it means would be a guess, or it cannot be told in UTC."""
    assert moment(raw) is None


def test_time_in_another_zone_is_the_same_moment() -> None:
    """A worker in another zone, or another program, may have written it."""
    assert moment(b"2026-01-02T05:04:05+02:00") == NOW


def test_record_handed_on_tells_its_attempt_its_beginning_and_when_it_is_due() -> None:
    """Whoever works on it next, and an operator who looks at it, need nothing else."""
    headers = handed_on((("theirs", b"1"),), attempt=2, tier=TIERS[1], reason="source_timeout", now=NOW)
    assert history(headers) == History(attempt=2, first_seen=NOW)
    assert due(headers) == NOW + timedelta(seconds=TIERS[1].delay_seconds)
    assert dict(headers)["theirs"] == b"1"
    assert dict(headers)[topics.RETRY_REASON] == b"source_timeout"


def test_record_handed_on_twice_keeps_its_beginning_and_grows_no_headers() -> None:
    """The second time replaces what the first time said, all but when it began."""
    once = handed_on((), attempt=2, tier=TIERS[0], reason="source_timeout", now=NOW)
    twice = handed_on(once, attempt=3, tier=TIERS[1], reason="leased", now=NOW + timedelta(minutes=1))
    assert history(twice) == History(attempt=3, first_seen=NOW)
    assert len(twice) == len(once)


@pytest.mark.parametrize(
    ("attempt", "tier"), [(1, TIERS[0]), (2, TIERS[1]), (3, TIERS[2]), (4, TIERS[2]), (10**9, TIERS[2])]
)
def test_each_attempt_waits_longer_than_the_one_before(attempt: int, tier: topics.Tier) -> None:
    """Up to the longest wait there is."""
    assert tier_after(attempt) == tier


@pytest.mark.parametrize(
    ("wait", "tier"), [(0.0, TIERS[0]), (30.0, TIERS[0]), (30.5, TIERS[1]), (300.0, TIERS[1]), (1e9, TIERS[2])]
)
def test_source_that_asks_for_time_gets_at_least_as_much(wait: float, tier: topics.Tier) -> None:
    """As far as the tiers reach."""
    assert tier_after(1, wait_seconds=wait) == tier


def test_replayed_record_has_all_attempts_before_it_and_is_another_generation() -> None:
    """What is known of the generation before, its end above all, does not hold for it."""
    parked = (
        ("theirs", b"1"),
        (topics.ATTEMPT, b"3"),
        (topics.FIRST_SEEN, EARLIER),
        (topics.NOT_BEFORE, EARLIER),
        (topics.RETRY_REASON, b"internal"),
        (topics.DEAD_LETTER_REASON, b"internal"),
        (topics.ORIGIN_OFFSET, b"7"),
    )
    again = played_again(parked)
    assert again == (("theirs", b"1"), (topics.REPLAY, b"1"))
    assert history(played_again(again)).replay == 2


def test_generation_of_a_replay_stays_with_the_record_when_it_is_handed_on() -> None:
    """Otherwise it would meet the end of the generation before, and be told it instead of being done."""
    replayed = played_again(())
    assert history(handed_on(replayed, attempt=2, tier=TIERS[0], reason="leased", now=NOW)).replay == 1
