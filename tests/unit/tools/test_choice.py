"""Which dead letters an operator means."""

import argparse
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import PipelineError
from pipeline.kafka.parked import Place, Wanted
from pipeline.tools.choice import add_filters, limit, rate, since, wanted

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_filters(parser)
    return parser.parse_args(words)


def test_no_filter_means_all() -> None:
    """Which is why replay and drop ask whether it is meant."""
    assert wanted(parsed(), NOW).all
    assert not wanted(parsed("4"), NOW).all


def test_each_filter_is_read() -> None:
    """As the help says."""
    words = ("3", "1/4", "--reason", "internal", "--since", "2h", "--origin", "t", "--tenant", "acme", "--job", "j")
    assert wanted(parsed(*words), NOW) == Wanted(
        reason="internal",
        since=NOW - timedelta(hours=2),
        origin="t",
        tenant="acme",
        job_id="j",
        places=frozenset({Place(0, 3), Place(1, 4)}),
    )
    assert limit(parsed("--limit", "20")) == 20
    assert limit(parsed()) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-04-30T10:00:00+02:00", datetime(2026, 4, 30, 8, tzinfo=UTC)),
        ("2026-04-30T10:00:00", datetime(2026, 4, 30, 10, tzinfo=UTC)),
        ("2026-04-30", datetime(2026, 4, 30, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_point_in_time(text: str, moment: datetime) -> None:
    """Without a zone it is UTC, as everything that is printed."""
    assert since(text, NOW) == moment


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--since", "yesterday"), r"--since: must be an age .* got 'yesterday'"),
        (("--since", "999999999d"), r"--since: limit 3650d, got '999999999d'"),
        (("x",), r"OFFSET: must be OFFSET or PARTITION/OFFSET, got 'x'"),
    ],
)
def test_filter_that_cannot_be_is_told_by_its_name(words: tuple[str, ...], told: str) -> None:
    """The argument, what it must be, and what it is."""
    with pytest.raises(PipelineError, match=told):
        wanted(parsed(*words), NOW)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_limit_that_cannot_be_is_told_by_its_name(text: str) -> None:
    """A limit of nothing would look like success."""
    with pytest.raises(PipelineError, match=r"--limit: must be a whole number of at least 1, got"):
        limit(parsed(f"--limit={text}"))


@pytest.mark.parametrize(("text", "per_second"), [("50", 50.0), ("0.5/s", 0.5), (None, None)])
def test_rate_is_letters_a_second(text: str | None, per_second: float | None) -> None:
    """Without one nothing is held back."""
    assert rate(text) == per_second


@pytest.mark.parametrize("text", ["0", "0.0/s", "-1", "fast", "50/m", "1e9", "nan", "10000000"])
def test_rate_that_cannot_be_is_told_by_its_name(text: str) -> None:
    """A rate that is misread would flood the workers."""
    with pytest.raises(PipelineError, match=r"--rate: must be a number above 0 and below 1,000,000"):
        rate(text)
