"""Guarantees of pipeline.worker.stop_rule."""

import itertools

from pipeline.worker.stop_rule import MOST_IN_A_ROW, MOST_OF_WINDOW, WINDOW, StopRule


def reasons(*endings: bool) -> list[str]:
    """What the rule says of jobs that end parked or not, one after the other."""
    rule = StopRule()
    return [reason for parked in endings if (reason := rule.ended(parked=parked))]


def test_jobs_that_end_well_never_stop_a_worker() -> None:
    """However many, and though a few among them are parked."""
    rare = [number % (WINDOW // MOST_OF_WINDOW) == 0 for number in range(3 * WINDOW)]
    assert reasons(*rare) == []


def test_row_of_parked_jobs_stops_the_worker_when_it_is_longer_than_allowed() -> None:
    """And not one job before."""
    assert reasons(*[True] * MOST_IN_A_ROW) == []
    assert reasons(*[True] * (MOST_IN_A_ROW + 1)) == [f"jobs parked in a row: limit {MOST_IN_A_ROW}, got 21"]


def test_one_job_that_ends_well_begins_the_row_anew() -> None:
    """A row is what a bad release makes of all jobs, not of some."""
    assert reasons(*[True] * MOST_IN_A_ROW, False, *[True] * MOST_IN_A_ROW) == []


def test_share_of_parked_jobs_stops_the_worker_when_it_is_larger_than_allowed() -> None:
    """Though they never come in a row."""
    found = reasons(*[True, False] * (MOST_OF_WINDOW + 1))
    assert found[0] == f"jobs parked among the last {WINDOW}: limit {MOST_OF_WINDOW}, got {MOST_OF_WINDOW + 1}"
    assert reasons(*[True, False] * MOST_OF_WINDOW) == []


def test_what_lies_further_back_than_the_window_is_forgotten() -> None:
    """A bad hour last week is not held against a worker."""
    bad = [True, False] * MOST_OF_WINDOW
    assert reasons(*bad, *itertools.repeat(False, WINDOW), *bad) == []
