"""Guarantees of pipeline.worker.verdict."""

import pytest

from pipeline.errors import JobExpired, JobFailed
from pipeline.kafka.retry import History
from pipeline.storage.web import RETRY_AFTER
from pipeline.worker.verdict import (
    INTERNAL_RETRIES,
    Again,
    Over,
    leased,
    retries,
    verdict,
    worn_out,
)
from schemas.failures import FAILURES, FailureCode, Fault
from schemas.topics import TIERS

TIMEOUT = JobFailed(FailureCode.SOURCE_TIMEOUT, "source: limit 10 s")
BUG = JobFailed(FailureCode.INTERNAL, "an internal error; it is logged")
FINAL = [code for code in FailureCode if not FAILURES[code].retryable]


def test_failure_of_a_source_is_tried_again_on_each_tier_and_then_ends() -> None:
    """A source that is down comes back within the tiers or not at all for this job."""
    for number, tier in enumerate(TIERS, start=1):
        assert verdict(TIMEOUT, History(number), None) == Again(tier, number + 1, "source_timeout")
    assert verdict(TIMEOUT, History(len(TIERS) + 1), None) == Over(TIMEOUT, parked=False)


@pytest.mark.parametrize("code", FINAL)
def test_failure_that_would_come_again_ends_the_job_at_once(code: FailureCode) -> None:
    """Its caller waits for the answer, and the attempts would be wasted."""
    failed = JobFailed(code, "no")
    assert verdict(failed, History(), None) == Over(failed, parked=False)


def test_error_of_our_own_is_tried_twice_more_and_parked() -> None:
    """A bug shows again; what is parked an operator can play again when it is mended."""
    assert isinstance(verdict(BUG, History(INTERNAL_RETRIES), None), Again)
    assert verdict(BUG, History(INTERNAL_RETRIES + 1), None) == Over(BUG, parked=True)


@pytest.mark.parametrize("code", [code for code in FailureCode if FAILURES[code].fault is Fault.SOURCE])
def test_failure_of_a_source_is_never_parked(code: FailureCode) -> None:
    """An operator could not cure it; the topic would fill with other people's outages."""
    failed = JobFailed(code, "no")
    assert verdict(failed, History(100), None) == Over(failed, parked=False)


@pytest.mark.parametrize(("left", "again"), [(None, True), (30.5, True), (30.0, False), (0.0, False), (-5.0, False)])
def test_job_is_not_put_off_beyond_its_deadline(left: float | None, again: bool) -> None:
    """It would come back only to expire; its caller can be told why it failed now."""
    assert isinstance(verdict(TIMEOUT, History(), left), Again) is again


@pytest.mark.parametrize(
    ("asked", "tier"), [(10, TIERS[0]), (31.0, TIERS[1]), (600, TIERS[2]), (10**9, TIERS[2]), ("soon", TIERS[0])]
)
def test_source_that_asks_to_be_left_alone_is_obeyed_within_bounds(asked: float | str, tier: object) -> None:
    """The attempt counts the same, wherever it waits."""
    asking = JobFailed(FailureCode.SOURCE_UNAVAILABLE, "source: status 429", {RETRY_AFTER: asked})
    assert verdict(asking, History(), None) == Again(tier, 2, "source_unavailable")


def test_job_in_other_hands_is_looked_at_again_without_counting() -> None:
    """Nothing was tried, however often another worker's lease is met."""
    assert leased(History(attempt=3)) == Again(TIERS[0], 3, "leased")


def test_job_whose_workers_die_is_parked_with_a_code_of_its_own() -> None:
    """It is never begun again by itself, and both its caller and the operator learn of it."""
    ended = worn_out(3)
    assert (ended.error.code, ended.parked) == (FailureCode.CRASH_LOOP, True)
    assert ended.error.message == "starts: limit 3, all ended with the death of the worker"


def test_expired_job_is_over() -> None:
    """Its deadline does not come back."""
    assert retries(JobExpired()) == 0
