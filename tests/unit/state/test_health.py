"""Guarantees of pipeline.state.health."""

import pytest

from pipeline.state.health import (
    DISABLING_FAILURES,
    DISABLING_SECONDS,
    FIRST_HOLD_SECONDS,
    LONGEST_HOLD_SECONDS,
    OPENS_AFTER,
    after,
    disabling,
    hold_seconds,
    probing,
    slots,
)
from pipeline.state.records import Health

LIMIT = 5


def failed(times: int, health: Health | None = None) -> Health:
    """So many failures, each as soon as an attempt may be made."""
    health = health or Health()
    for _ in range(times):
        health = after(health, False, max(1.0, health.held_until))
    return health


def test_endpoint_has_all_its_slots_until_it_has_failed_ten_times_in_a_row() -> None:
    health = failed(OPENS_AFTER - 1)
    assert slots(health, 1.0, LIMIT) == LIMIT
    assert slots(after(health, False, 1.0), 1.0, LIMIT) == 0


def test_success_in_between_makes_everything_well() -> None:
    assert after(failed(OPENS_AFTER - 1), True, 2.0) == Health()


def test_open_circuit_is_held_for_thirty_seconds_and_twice_as_long_after_each_probe_up_to_an_hour() -> None:
    holds = [hold_seconds(OPENS_AFTER + probes) for probes in range(9)]
    assert holds == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert hold_seconds(10**9) == LONGEST_HOLD_SECONDS


def test_held_endpoint_is_probed_with_one_attempt_when_the_hold_is_over() -> None:
    health = failed(OPENS_AFTER)
    assert health.held_until == 1.0 + FIRST_HOLD_SECONDS
    assert slots(health, health.held_until - 0.001, LIMIT) == 0
    assert slots(health, health.held_until, LIMIT) == 1
    assert slots(health, health.held_until, 0) == 0


def test_failures_that_were_under_way_when_the_circuit_opened_make_it_no_worse() -> None:
    """The four others fail a moment later; it is not held for eight minutes because of them."""
    health = failed(OPENS_AFTER)
    assert after(health, False, health.held_until - 0.001) == health


@pytest.mark.parametrize(
    ("failures", "seconds", "expected"),
    [
        (DISABLING_FAILURES, DISABLING_SECONDS, True),
        (DISABLING_FAILURES - 1, DISABLING_SECONDS, False),
        (DISABLING_FAILURES, DISABLING_SECONDS - 1, False),
    ],
)
def test_endpoint_is_given_up_after_five_days_and_twenty_failures(
    failures: int, seconds: float, expected: bool
) -> None:
    assert disabling(Health(failures, 100.0), 100.0 + seconds) is expected


def test_endpoint_that_never_failed_is_not_given_up() -> None:
    assert not disabling(Health(), 1e12)
    assert not probing(Health())
