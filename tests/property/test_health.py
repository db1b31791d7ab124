"""The health of an endpoint under any attempts, in order and out of order."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.health import (
    DISABLING_FAILURES,
    DISABLING_SECONDS,
    FIRST_HOLD_SECONDS,
    LONGEST_HOLD_SECONDS,
    OPENS_AFTER,
    after,
    disabling,
    probing,
    slots,
)
from pipeline.state.records import Health

ATTEMPTS = st.lists(st.tuples(st.booleans(), st.floats(0.0, 5_000.0)), max_size=60)
MOSTLY_FAILED = st.lists(
    st.tuples(st.integers(0, 20).map(lambda drawn: drawn == 0), st.floats(0.0, 5_000.0)), max_size=60
)
LIMITS = st.integers(1, 20)


def history(attempts: list[tuple[bool, float]]) -> list[tuple[Health, bool, float, Health]]:
    """Before, whether it succeeded, when, and after."""
    health, now, steps = Health(), 0.0, []
    for succeeded, passed in attempts:
        now += passed
        new = after(health, succeeded, now)
        steps.append((health, succeeded, now, new))
        health = new
    return steps


@given(ATTEMPTS | MOSTLY_FAILED)
def test_success_closes_whatever_was_before_and_failure_never_makes_it_better(
    attempts: list[tuple[bool, float]],
) -> None:
    for before, succeeded, now, new in history(attempts):
        if succeeded:
            assert new == Health()
        else:
            assert new.failures_in_row >= before.failures_in_row
            assert new.held_until >= before.held_until
            assert new.failing_since == (now if before.failing_since is None else before.failing_since)


@given(ATTEMPTS | MOSTLY_FAILED)
def test_hold_begins_with_the_tenth_failure_and_stays_within_its_bounds(attempts: list[tuple[bool, float]]) -> None:
    for before, _, now, new in history(attempts):
        if new.held_until <= before.held_until:
            continue
        assert probing(new)
        assert FIRST_HOLD_SECONDS <= round(new.held_until - now, 6) <= LONGEST_HOLD_SECONDS
        assert (new.held_until - now > FIRST_HOLD_SECONDS * 1.5) == (new.failures_in_row > OPENS_AFTER)


@given(ATTEMPTS | MOSTLY_FAILED, LIMITS)
def test_slots_are_none_one_or_all(attempts: list[tuple[bool, float]], limit: int) -> None:
    """None exactly while held; one exactly after ten failures in a row; and never held for good."""
    for _, _, now, health in history(attempts):
        expected = 0 if now < health.held_until else 1 if health.failures_in_row >= OPENS_AFTER else limit
        assert slots(health, now, limit) == expected
        assert slots(health, now + LONGEST_HOLD_SECONDS, limit) > 0


@given(MOSTLY_FAILED)
def test_endpoint_is_given_up_only_when_nothing_succeeded_for_five_days(attempts: list[tuple[bool, float]]) -> None:
    last_success = 0.0
    failures = 0
    for _, succeeded, now, health in history(attempts):
        last_success, failures = (now, 0) if succeeded else (last_success, failures + 1)
        if disabling(health, now):
            assert now - last_success >= DISABLING_SECONDS
            assert failures >= DISABLING_FAILURES


@given(st.integers(OPENS_AFTER, 100), st.lists(st.integers(0, int(FIRST_HOLD_SECONDS) - 1)))
def test_failures_that_end_together_or_after_the_circuit_opened_hold_it_once(together: int, later: list[int]) -> None:
    health = Health()
    for moment in [0] * together + sorted(later):
        health = after(health, False, 100.0 + moment)
    assert (health.failures_in_row, health.held_until) == (OPENS_AFTER, 100.0 + FIRST_HOLD_SECONDS)
