"""What becomes of a failed attempt, for every failure, history and deadline."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JobFailed
from pipeline.kafka.retry import History
from pipeline.storage.web import RETRY_AFTER
from pipeline.worker.verdict import Again, Over, verdict
from schemas.failures import FAILURES, FailureCode, Fault
from schemas.topics import TIERS

ASKED = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=True) | st.text(max_size=3)
ERRORS = st.builds(lambda code, asked: JobFailed(code, "no", {RETRY_AFTER: asked}), st.sampled_from(FailureCode), ASKED)
LEFT = st.none() | st.floats(-10.0, 4000.0) | st.floats(allow_nan=False)
ATTEMPTS = st.integers(1, 5) | st.integers(1, 10**6)


@given(ERRORS, ATTEMPTS, LEFT)
def test_verdict_retries_only_what_may_help_as_often_as_allowed_and_in_time(
    error: JobFailed, attempt: int, left: float | None
) -> None:
    """Never a caller's fault, never beyond the attempts, never past the deadline; and every attempt is counted."""
    found = verdict(error, History(attempt), left)
    if isinstance(found, Over):
        assert found.error is error
        assert not (found.parked and FAILURES[error.code].fault is not Fault.SYSTEM)
        return
    assert FAILURES[error.code].retryable
    assert attempt <= len(TIERS)
    assert found.attempt == attempt + 1
    assert left is None or found.tier.delay_seconds < left


@given(ERRORS)
def test_every_job_that_keeps_failing_ends(error: JobFailed) -> None:
    """After so many attempts as there are tiers, and one."""
    history = History()
    for _ in range(len(TIERS)):
        found = verdict(error, history, None)
        if isinstance(found, Again):
            history = History(found.attempt)
    assert isinstance(verdict(error, history, None), Over)
