"""Guarantees of the pure parts of pipeline.state.recording."""

import pytest

from pipeline.state.health import DISABLING_FAILURES, DISABLING_SECONDS
from pipeline.state.recording import ANSWERS, following, judged
from pipeline.state.records import Delivered, EndpointKind, Health, Outcome, RetryAt
from tests.support.deliveries import EXHAUSTED, NOON, a_pending, an_endpoint, attempt

ENDPOINT = an_endpoint()
ORIGIN = an_endpoint(kind=EndpointKind.REQUEST)


def test_what_the_schedule_says_follows_unless_the_schedule_began_anew() -> None:
    """Asked for again while the last attempt failed: it is due when that was asked for."""
    pending = a_pending(ENDPOINT, attempts=7, earlier=2)
    assert following(attempt(pending, Outcome.TIMEOUT, EXHAUSTED), 2, NOON) == EXHAUSTED
    assert following(attempt(pending, Outcome.TIMEOUT, EXHAUSTED), 9, NOON) == RetryAt(NOON)
    assert following(attempt(pending), 9, NOON) == Delivered()
    assert pending.number == 10


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.DELIVERED])
def test_attempt_that_did_not_deliver_is_a_failure_of_a_registered_endpoint(outcome: Outcome) -> None:
    """It is counted from when the attempt had ended."""
    found = judged(ENDPOINT, [attempt(a_pending(ENDPOINT), outcome)], NOON + 9)
    assert found.health == Health(1, NOON + 0.5)


@pytest.mark.parametrize("outcome", Outcome)
def test_origin_that_answers_is_well_whatever_it_says_of_one_url(outcome: Outcome) -> None:
    """Each job may have a URL of its own; that one of them is over says nothing of the next."""
    sick = an_endpoint(kind=EndpointKind.REQUEST, health=Health(9, NOON - 9))
    found = judged(sick, [attempt(a_pending(sick), outcome)], NOON + 1)
    assert (found.health == Health()) is (outcome in {*ANSWERS, Outcome.DELIVERED})
    assert found.disabled_at is None


def test_registered_endpoint_that_is_gone_is_disabled_whatever_else_it_answered() -> None:
    made = [attempt(a_pending(ENDPOINT), Outcome.GONE), attempt(a_pending(ENDPOINT))]
    found = judged(ENDPOINT, made, NOON + 1)
    assert (found.disabled_at, found.disabled_reason) == (NOON + 1, "gone")


@pytest.mark.parametrize("kind", EndpointKind)
def test_endpoint_of_either_kind_that_only_fails_for_days_is_disabled(kind: EndpointKind) -> None:
    sick = an_endpoint(kind=kind, health=Health(DISABLING_FAILURES - 1, NOON - DISABLING_SECONDS, NOON))
    found = judged(sick, [attempt(a_pending(sick), Outcome.TIMEOUT)], NOON + 1)
    assert (found.disabled_at, found.disabled_reason) == (NOON + 1, "failing")
    assert judged(sick, [attempt(a_pending(sick))], NOON + 1).disabled_at is None


def test_endpoint_that_is_disabled_already_keeps_its_reason() -> None:
    disabled = an_endpoint(disabled_at=NOON - 5)
    found = judged(disabled, [attempt(a_pending(disabled), Outcome.GONE)], NOON + 1)
    assert (found.disabled_at, found.disabled_reason) == (NOON - 5, None)
