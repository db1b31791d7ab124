"""What `upscale topics lag` prints."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.kafka.backlog import Backlog
from pipeline.tools.lag import DEAD_LETTERS, Report, document, duration, lines
from pipeline.tools.work import Experience

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BACKLOGS = {"bulk": Backlog(3200, NOW - timedelta(minutes=124)), DEAD_LETTERS: Backlog(1, NOW + timedelta(seconds=5))}
KNOWN = Experience(jobs=180, megapixels_each=1.2, megapixels_per_second=3.4)


def test_lag_is_a_table_that_says_what_its_estimates_rest_on() -> None:
    """Figures stand under one another, and nobody takes an estimate for a count."""
    assert lines(Report(BACKLOGS, KNOWN, NOW)) == [
        "              messages     oldest  megapixels*        work*",
        "bulk             3,200  2 h 4 min      3,840.0  18 min 49 s",
        "dead letters         1      0.0 s            -            -",
        "",
        "* estimated from the last 180 completed jobs of both lanes: 1.2 source megapixels each, 3.4 a second by all "
        "workers together while any was at work.",
    ]


def test_lag_without_experience_has_no_estimates() -> None:
    """Not known is null, and not nothing."""
    told = document(Report(BACKLOGS, None, NOW))
    assert told["estimated_from"] is None
    assert told["backlogs"]["bulk"] == {
        "messages": 3200,
        "oldest_seconds": 7440.0,
        "megapixels": None,
        "work_seconds": None,
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (4.24, "4.2 s"), (42.4, "42 s"), (61, "1 min 1 s"), (7440, "2 h 4 min"), (200_000, "2 d 7 h")],
)
def test_duration_is_told_in_the_two_units_that_say_most(seconds: float, text: str) -> None:
    """A person compares two of them at a glance."""
    assert duration(seconds) == text
