"""The headers of a parked record."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline import __version__
from pipeline.kafka.deadletter import MAX_DETAIL_BYTES, Why, dead_letter_headers, letters
from schemas import topics
from tests.support.requests import make_received


def test_dead_letter_says_why_and_where_from() -> None:
    """Reason, detail and origin stand beside the record's own headers, which stay first and unchanged."""
    record = make_received(topic="requests", partition=3, offset=14, headers=(("ce_id", b"1"), ("ce_id", b"2")))
    assert dead_letter_headers(record, Why("malformed_json", "line 1")) == (
        ("ce_id", b"1"),
        ("ce_id", b"2"),
        (topics.DEAD_LETTER_REASON, b"malformed_json"),
        (topics.DEAD_LETTER_DETAIL, b"line 1"),
        (topics.DEAD_LETTER_ATTEMPTS, b"1"),
        (topics.DEAD_LETTER_VERSION, __version__.encode()),
        (topics.ORIGIN_TOPIC, b"requests"),
        (topics.ORIGIN_PARTITION, b"3"),
        (topics.ORIGIN_OFFSET, b"14"),
        (topics.ORIGIN_TIMESTAMP, b"2026-01-02T03:04:05+00:00"),
    )


def test_record_parked_twice_carries_each_header_once() -> None:
    """A retry of the parking, or a replay that fails again, does not double them; the record is not changed."""
    once = dead_letter_headers(make_received(headers=(("ce_id", b"1"),)), Why("empty", "first"))
    record = make_received(offset=9, headers=(*once, (topics.VALUE_OMITTED, b"1")))
    twice = dict(dead_letter_headers(record, Why("empty", "second")))
    assert len(twice) == len(dead_letter_headers(record, Why("empty", "second"))) == 9
    assert (twice[topics.DEAD_LETTER_DETAIL], twice[topics.ORIGIN_OFFSET]) == (b"second", b"9")
    assert record.headers[:-1] == once


@given(st.text())
def test_detail_is_bounded_and_stays_readable(detail: str) -> None:
    """Whatever was wrong with the record, its description is valid UTF-8 of at most a kilobyte."""
    clipped = dict(dead_letter_headers(make_received(), Why("x", detail * 200)))[topics.DEAD_LETTER_DETAIL]
    assert len(clipped) <= MAX_DETAIL_BYTES
    clipped.decode()


def test_letter_grows_smaller_until_it_holds_nothing_of_its_senders() -> None:
    """The last form fits any broker, so that no record can hold up its partition for ever; the first is the record."""
    record = make_received(key=b"k", value=b"12345", headers=(("theirs", b"1"),))
    first, second, last = letters(record, Why("too_large", "5 bytes"))
    omitted = (topics.VALUE_OMITTED, b"5")
    assert (first.key, first.value, first.headers[0]) == (b"k", b"12345", ("theirs", b"1"))
    assert (second.key, second.value) == (b"k", None)
    assert second.headers == (*first.headers, omitted)
    assert (last.key, last.value) == (None, b"")
    assert last.headers == (*first.headers[1:], omitted)


@given(st.none() | st.binary(), st.none() | st.binary())
def test_letter_always_has_a_key_or_a_value(key: bytes | None, value: bytes | None) -> None:
    """The client asserts that it has, and whoever sends the record need not: it would end one worker after another."""
    found = list(letters(make_received(key=key, value=value), Why("empty", "no value")))
    assert all(letter.key is not None or letter.value is not None for letter in found)
    assert (found[0].key, found[0].value or None) == (key, value or None)
