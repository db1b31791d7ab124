"""Guarantees of pipeline.dispatcher.retry_after."""

import time

import pytest

from pipeline.dispatcher.retry_after import retry_after_seconds

NOW = 1_792_567_680.0  # Wed, 21 Oct 2026 07:28:00 GMT
AT_NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("9" * 5000, 999_999_999)])
def test_number_is_so_many_seconds(value: str, seconds: float) -> None:
    assert retry_after_seconds(value, None, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    ["Wed, 21 Oct 2026 07:30:00 GMT", "Wednesday, 21-Oct-26 07:30:00 GMT", "Wed Oct 21 07:30:00 2026"],
    ids=["today's form", "RFC 850", "asctime"],
)
def test_date_is_the_time_until_then(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each form that RFC 9110 has receivers understand, in GMT wherever we are."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    monkeypatch.undo()
    found = retry_after_seconds(value, None, NOW)
    time.tzset()
    assert found == 120


@pytest.mark.parametrize(("our_clock", "theirs"), [(NOW - 86_400, AT_NOW), (NOW + 86_400, AT_NOW), (NOW, "nonsense")])
def test_date_is_read_by_the_clock_that_wrote_it(our_clock: float, theirs: str) -> None:
    """Where the answer does not say what that shows, by ours."""
    assert retry_after_seconds("Wed, 21 Oct 2026 07:30:00 GMT", theirs, our_clock) == 120


def test_date_that_is_past_asks_for_no_time() -> None:
    assert retry_after_seconds("Wed, 21 Oct 2026 07:00:00 GMT", AT_NOW, NOW) == 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "-1",
        "1.5",
        "1e3",
        "²",
        "120 s",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 2026 07:28:00 +9999999",
    ],
)
def test_what_is_neither_says_nothing(value: str | None) -> None:
    assert retry_after_seconds(value, AT_NOW, NOW) is None
