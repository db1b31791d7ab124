"""What lies on the dead-letter topic, and which of it is meant."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kafka.deadletter import Why, dead_letter_headers, letters
from pipeline.kafka.parked import (
    UNKNOWN,
    Letter,
    Mark,
    Origin,
    Outcome,
    Place,
    Wanted,
    mark_headers,
    stock,
    understood,
)
from schemas import topics
from tests.support.parked import PARKED, VALUE, make_letter, make_record
from tests.support.requests import APPENDED, make_received

HEADERS = st.lists(st.tuples(st.sampled_from([*sorted(topics.DEAD_LETTER_HEADERS), "x"]), st.binary()))


def test_letter_tells_why_from_where_and_for_whom() -> None:
    """All that a filter or a replay needs is read without keeping the content."""
    letter = make_letter()
    assert (letter.place, letter.parked, letter.reason, letter.detail) == (
        Place(0, 3),
        PARKED,
        "crash_loop",
        "3 starts",
    )
    assert letter.origin == Origin("requests", 0, 8, APPENDED)
    assert (letter.tenant, letter.job_id, letter.size, letter.omitted) == ("acme", "job-7", len(VALUE), False)
    assert (letter.attempts, letter.replays) == (1, 0)


def test_letter_without_its_value_tells_how_large_it_was() -> None:
    """The operator sees what is missing."""
    *_, smallest = letters(make_received(value=b"12345"), Why("too_large", "5 bytes"))
    found = understood(make_record(value=smallest.value, headers=smallest.headers))
    assert isinstance(found, Letter)
    assert (found.size, found.omitted, found.job_id) == (5, True, None)


def test_letter_of_a_request_without_an_id_has_the_job_that_its_first_place_names() -> None:
    """Handed on and parked from elsewhere, it is the job that its caller was told of."""
    bare = b'{"source": "s3://b/k"}'
    first = make_received(topic="requests", offset=8, value=bare)
    moved = make_received(topic="requests", offset=99, value=bare, headers=((topics.ORIGIN, b"requests/0/8"),))
    ids = set()
    for record in (first, moved):
        letter = understood(make_record(value=bare, headers=dead_letter_headers(record, Why("internal", ""))))
        assert isinstance(letter, Letter)
        ids.add(letter.job_id)
    assert len(ids - {None}) == 1


@given(st.none() | st.binary(), HEADERS)
def test_whatever_lies_on_the_topic_is_a_letter_or_a_mark(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    """Others may write to the topic; one record of theirs must not hide the rest."""
    found = understood(make_record(value=value, headers=tuple(headers)))
    assert isinstance(found, Letter | Mark)


def test_record_of_a_stranger_is_a_letter_from_nowhere() -> None:
    """It is listed and cannot be sent."""
    found = understood(make_record(value=b"?"))
    assert isinstance(found, Letter)
    assert (found.reason, found.origin, found.job_id) == (UNKNOWN, None, None)


@pytest.mark.parametrize("outcome", Outcome)
def test_mark_is_read_as_it_was_written(outcome: Outcome) -> None:
    """What was dealt with in one run is known in the next."""
    assert understood(make_record(value=b"", headers=mark_headers(Place(1, 44), outcome))) == Mark(
        Place(1, 44), outcome
    )


@given(st.binary(), HEADERS)
def test_no_sender_can_make_its_letter_pass_for_a_mark(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    """It would hide itself, and another's letter with it."""
    forged = (*headers, *mark_headers(Place(0, 0), Outcome.DROPPED))
    parked = dead_letter_headers(make_received(headers=forged), Why("malformed_json", ""))
    assert not {topics.MARKED, topics.MARK_OUTCOME} & {name for name, _ in parked}
    assert isinstance(understood(make_record(value=value, headers=parked)), Letter)


def test_letter_that_was_parked_with_the_headers_of_a_mark_is_a_letter() -> None:
    """Releases before this one kept them; the reason is on no mark."""
    parked = dead_letter_headers(make_received(), Why("malformed_json", ""))
    found = understood(make_record(headers=(*mark_headers(Place(0, 0), Outcome.DROPPED), *parked)))
    assert isinstance(found, Letter)
    assert found.reason == "malformed_json"


def test_stock_leaves_out_what_is_marked_and_keeps_the_order_of_parking() -> None:
    """The first mark counts: what was sent cannot be dropped afterwards."""
    early, late, done = make_letter(5), make_letter(1, parked=PARKED + timedelta(seconds=1)), make_letter(2)
    marks = (Mark(done.place, Outcome.REPLAYED), Mark(done.place, Outcome.DROPPED))
    found = stock([late, early, done, *marks])
    assert found.open == (early, late)
    assert found.letters == (done, early, late)
    assert found.marks == {done.place: Outcome.REPLAYED}


@pytest.mark.parametrize(
    ("wanted", "included"),
    [
        (Wanted(), True),
        (Wanted(reason="crash_loop", since=PARKED, origin="requests", tenant="acme", job_id="job-7"), True),
        (Wanted(reason="internal"), False),
        (Wanted(since=PARKED + timedelta(seconds=1)), False),
        (Wanted(origin="elsewhere"), False),
        (Wanted(tenant="other"), False),
        (Wanted(job_id="job-8"), False),
        (Wanted(places=frozenset({Place(0, 3)})), True),
        (Wanted(places=frozenset({Place(1, 3)})), False),
    ],
)
def test_filters_restrict_together(wanted: Wanted, included: bool) -> None:
    """A letter is meant when it passes each filter that was given."""
    assert wanted.includes(make_letter()) is included


def test_letter_from_nowhere_passes_no_filter_on_its_origin() -> None:
    """What is not known is not guessed."""
    assert not Wanted(origin="requests").includes(make_letter(origin=None))


@pytest.mark.parametrize("text", ["", "x", "1/", "/x", "-1", "1/2/3", "1.5"])
def test_place_that_is_none_is_refused(text: str) -> None:
    """A typing mistake does not mean another letter."""
    with pytest.raises(ValueError, match="must be OFFSET or PARTITION/OFFSET"):
        Place.parse(text)


def test_place_is_written_as_it_is_read() -> None:
    """A place from a list can be given back; without a partition it is the first."""
    assert Place.parse(str(Place(2, 7))) == Place(2, 7)
    assert Place.parse("7") == Place(0, 7)
