"""How an endpoint is doing, and what follows from it: a circuit breaker, and when to give it up. Pure.

Who asks for many results of a dead receiver would otherwise spend its own attempts, and our sockets, on nothing.
"""

from dataclasses import replace

from pipeline.state.records import Health

OPENS_AFTER = 10
"""Failures in a row that open the circuit; what Convoy takes. Twice the attempts that may be under way at a time, so
that one bad moment does not open it."""
FIRST_HOLD_SECONDS = 30.0
"""As long as an attempt may take: what was under way when the circuit opened has ended when it is probed."""
LONGEST_HOLD_SECONDS = 3600.0
"""A receiver that is back waits an hour at most; one that is not costs 24 attempts a day."""
DISABLING_SECONDS = 5 * 86_400.0
"""Of nothing but failures: over a long weekend somebody is back to look. Svix's number."""
DISABLING_FAILURES = 20
"""In a row as well: an endpoint that is called once a day has not been tried often enough."""


def after(health: Health, succeeded: bool, now: float) -> Health:
    """The health after an attempt that ended `now`; a success makes everything well.

    A failure while held says nothing new: the attempt was under way when the circuit opened.
    """
    if succeeded:
        return Health()
    if now < health.held_until:
        return health
    failures = health.failures_in_row + 1
    since = now if health.failing_since is None else health.failing_since
    failed = replace(health, failures_in_row=failures, failing_since=since)
    return replace(failed, held_until=now + hold_seconds(failures)) if probing(failed) else failed


def hold_seconds(failures: int) -> float:
    """How long the circuit stays open after this many failures in a row: twice as long after each probe."""
    doublings = min(failures - OPENS_AFTER, 20)
    return min(FIRST_HOLD_SECONDS * 2.0**doublings, LONGEST_HOLD_SECONDS)


def probing(health: Health) -> bool:
    """Whether the circuit is open: it is held, or then probed with one attempt at a time."""
    return health.failures_in_row >= OPENS_AFTER


def slots(health: Health, now: float, limit: int) -> int:
    """How many attempts may be under way at a time, where a healthy endpoint may have `limit`."""
    if now < health.held_until:
        return 0
    return min(1, limit) if probing(health) else limit


def disabling(health: Health, now: float) -> bool:
    """Whether it has failed for so long that it is not called any more until its owner says so."""
    if health.failing_since is None:
        return False
    return now - health.failing_since >= DISABLING_SECONDS and health.failures_in_row >= DISABLING_FAILURES
