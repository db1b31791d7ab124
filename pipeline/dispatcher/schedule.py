"""What follows from an attempt: nothing, another one, or the end of it. Pure.

docs/webhooks.md tells receivers the same in a table, and a test compares the two.
"""

from pipeline.state.records import (
    Abandoned,
    Answer,
    Delivered,
    EndpointKind,
    Next,
    Outcome,
    PendingDelivery,
    Reason,
    RetryAt,
)

_MINUTE, _HOUR = 60.0, 3600.0
DELAYS_SECONDS = (0.0, 5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 10 * _HOUR)
"""Before each attempt, from the end of the one before; Svix's schedule: 8 attempts in 27.6 h."""
JITTER = 0.2
"""A delay is up to this share of it shorter or longer, so that what failed together does not come back together."""
MAX_RETRY_AFTER_SECONDS = 24 * _HOUR
"""Longest wait that a receiver can ask for."""
BUSY_SECONDS = 60.0
"""Least wait after a 429 or 503 that names none."""
REQUEST_ATTEMPTS = 3
"""At a URL that a request named, when it answers that there is nothing for us there."""
_NOTHING_THERE = (400, 401, 403, 404)
_SERVICE_UNAVAILABLE = 503


def following(delivery: PendingDelivery, answer: Answer, now: float, chance: float) -> Next:
    """What to do after `answer` to an attempt at `delivery`, whose `attempts` were made before this one.

    `now` is in Unix seconds; `chance` is drawn from [0, 1).
    """
    if answer.outcome is Outcome.DELIVERED:
        return Delivered()
    if answer.outcome is Outcome.GONE:
        return Abandoned(Reason.GONE)
    if delivery.once:
        return Abandoned(Reason.SUPERSEDED)
    made = delivery.attempts + 1
    if made >= _most_attempts(delivery, answer):
        return Abandoned(Reason.EXHAUSTED)
    return RetryAt(now + _wait_seconds(made, answer, chance))


def _most_attempts(delivery: PendingDelivery, answer: Answer) -> int:
    # Nobody looks after the URL of a request as a tenant does after an endpoint that it registered.
    hopeless = delivery.endpoint.kind is EndpointKind.REQUEST and answer.status in _NOTHING_THERE
    return REQUEST_ATTEMPTS if hopeless else len(DELAYS_SECONDS)


def _wait_seconds(made: int, answer: Answer, chance: float) -> float:
    """The schedule's delay, or what the receiver wants when that is longer; then never earlier, and a little later."""
    delay = DELAYS_SECONDS[made] * (1 - JITTER + 2 * JITTER * chance)
    wanted = min(_wanted_seconds(answer) * (1 + JITTER * chance), MAX_RETRY_AFTER_SECONDS)
    return max(delay, wanted)


def _wanted_seconds(answer: Answer) -> float:
    if answer.retry_after is not None:
        return answer.retry_after
    busy = answer.outcome is Outcome.THROTTLED or answer.status == _SERVICE_UNAVAILABLE
    return BUSY_SECONDS if busy else 0.0
