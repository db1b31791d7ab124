"""A job that went wrong -> try again later, or how it ends. Pure."""

from dataclasses import dataclass

from pipeline.errors import JobFailed
from pipeline.kafka.retry import History, tier_after
from pipeline.storage.web import RETRY_AFTER
from schemas.failures import FailureCode, Fault
from schemas.topics import TIERS, Tier

INTERNAL_RETRIES = 2
"""Of an error of our own: a bug shows again, and what is none has passed by then."""
LONGEST_WAIT_SECONDS = 600.0
"""Longer than this no source is obeyed: it would decide how long we remember the job."""


@dataclass(frozen=True, slots=True)
class Again:
    """To be tried again: the record goes to a retry topic."""

    tier: Tier
    attempt: int
    """What the record stands for there."""
    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """The job ends with this failure."""

    error: JobFailed
    parked: bool
    """Whether the record is kept as a dead letter too, because the failure is ours and an operator can cure it."""


def leased(history: History) -> Again:
    """Another worker is on it: look again when its lease has run out. Nothing was tried, so nothing is counted."""
    return Again(TIERS[0], history.attempt, "leased")


def verdict(error: JobFailed, history: History, seconds_left: float | None) -> Again | Over:
    """What becomes of a job whose attempt ended with `error`. `seconds_left` until its deadline, if it has one."""
    exhausted = history.attempt > retries(error)
    again = Again(
        tier_after(history.attempt, wait_seconds=_asked_for(error)), history.attempt + 1, reason=str(error.code)
    )
    too_late = seconds_left is not None and again.tier.delay_seconds >= seconds_left
    if exhausted or too_late:
        return Over(error, parked=_ours(error))
    return again


def worn_out(starts: int) -> Over:
    """Begun `starts` times, and each time the process died before the end."""
    failure = JobFailed(
        FailureCode.CRASH_LOOP, f"starts: limit {starts}, all ended with the death of the worker", {"starts": starts}
    )
    return Over(failure, parked=True)


def retries(error: JobFailed) -> int:
    """How often a job may be tried again after `error`."""
    if not error.kind.retryable:
        return 0
    return INTERNAL_RETRIES if error.code is FailureCode.INTERNAL else len(TIERS)


def _ours(error: JobFailed) -> bool:
    return error.kind.fault is Fault.SYSTEM and error.kind.retryable


def _asked_for(error: JobFailed) -> float:
    asked = error.details.get(RETRY_AFTER)
    return min(float(asked), LONGEST_WAIT_SECONDS) if isinstance(asked, (int, float)) else 0.0
