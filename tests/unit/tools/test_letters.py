"""Dead letters in words."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kafka.parked import Mark, Outcome, stock
from pipeline.kafka.replay import Dealt, Sent, Stays
from pipeline.tools import letters
from pipeline.worker.settle import NOT_SETTLED
from schemas.failures import FailureCode
from tests.support.parked import make_letter, make_record


def test_letters_are_listed_in_columns_with_their_totals() -> None:
    """A person finds the place first, to give it back to the command."""
    first, second = make_letter(3), make_letter(4, reason="empty", tenant=None, job_id=None)
    found = stock([first, second, Mark(second.place, Outcome.DROPPED)])
    assert letters.listing([first, second], found) == [
        "letter  parked                reason      tenant/job  from          size",
        "0/3     2026-05-01T12:00:00Z  crash_loop  acme/job-7  requests/0/8  54 B",
        "0/4     2026-05-01T12:00:00Z  empty       -           requests/0/8  54 B  dropped",
    ]
    assert letters.totals([first], found) == ("1 listed (crash_loop 1); on the topic: 1 open, 0 replayed, 1 dropped")


@pytest.mark.parametrize(
    "reason", [*FailureCode, *letters.REASONS, "unsupported_version", "not_understood", NOT_SETTLED]
)
def test_every_reason_has_a_meaning(reason: str) -> None:
    """An operator need not look into the code."""
    assert "does not know the reason" not in letters.meaning(reason)


@pytest.mark.parametrize(
    ("reason", "told"), [("internal", True), (NOT_SETTLED, False), ("not_understood", False), ("empty", False)]
)
def test_meaning_says_whether_the_caller_was_told(reason: str, told: bool) -> None:
    assert ("The caller was told that" in letters.meaning(reason)) == told


def test_reason_of_another_release_is_said_to_be_unknown() -> None:
    """And nothing is made up for it."""
    assert letters.meaning("brand_new") == "This release does not know the reason."


@given(st.text(), st.binary())
@example("\x7f", b"\x7f\x1b[2J")
def test_nothing_of_a_letter_reaches_the_terminal_as_an_order(text: str, raw: bytes) -> None:
    """Whatever its sender wrote is printable ASCII on the operator's screen."""
    letter = make_letter(reason=text, detail=text)
    record = make_record(value=raw, headers=((text, raw),))
    lines = [
        *letters.listing([letter], stock([letter])),
        *letters.description(letter, record, None),
        letters.dealt_line(Dealt(letter, Stays(text))),
    ]
    assert all(line.isascii() and (line.isprintable() or not line) for line in lines)


def test_long_value_is_shown_from_its_beginning() -> None:
    """And how much more there is."""
    shown = letters.description(make_letter(), make_record(value=b"x" * 20_000), None)[-1]
    assert shown.endswith("x ... and 3616 bytes more; --json shows all")


def test_value_that_was_not_parked_is_said_to_lie_elsewhere() -> None:
    """An empty value would look like an empty record."""
    shown = letters.description(make_letter(omitted=True, size=7), make_record(value=b""), None)[-1]
    assert shown == "value  7 bytes, too large to be parked; they lay at requests/0/8"


def test_end_of_a_letter_is_told_in_a_line_and_as_a_document() -> None:
    """Where it went, or why it stays."""
    letter = make_letter()
    assert letters.dealt_line(Dealt(letter, Sent("requests"))) == "0/3      acme/job-7  -> requests"
    assert letters.dealt_document(Dealt(letter, Stays("gone")))["stays"] == "gone"
    assert letters.dealt_document(Dealt(letter, Sent("requests")))["to"] == "requests"
