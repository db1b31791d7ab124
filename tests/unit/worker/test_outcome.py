"""Guarantees of pipeline.worker.outcome."""

from datetime import UTC, datetime

import pytest

from pipeline.errors import JobExpired, JobFailed
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.worker.outcome import Done, completed, failed, failure, summary
from schemas.events import Provenance, UpscaleExpired, UpscaleFailed, UpscaleRequested
from schemas.failures import FAILURES, FailureCode
from schemas.options import OutputFormat

DEADLINE = datetime(2030, 1, 1, tzinfo=UTC)
REQUEST = UpscaleRequested(job_id="cat-1", tenant="zoo", source="https://example.com/cat.jpg", labels={"album": "7"})
SOURCE = SourceFacts(100, 75, ("icc_ignored",))
STORED = StoredObject("upscale", "results/zoo/cat-1/x.png", "ab" * 32, 1234, OutputFormat.PNG, 400, 300, SOURCE)
PROVENANCE = Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1")


def test_completed_carries_the_stored_facts_and_the_requests_identity() -> None:
    """A reader of the event alone can fetch and check the result and knows whose job it was."""
    event = completed(REQUEST, Done(STORED, PROVENANCE), seconds=1.23456)
    assert (event.job_id, event.tenant, event.labels) == ("cat-1", "zoo", {"album": "7"})
    assert event.result.url == "s3://upscale/results/zoo/cat-1/x.png"
    assert (event.result.sha256, event.result.size) == ("ab" * 32, 1234)
    assert (event.result.width, event.result.height, event.source_width, event.source_height) == (400, 300, 100, 75)
    assert event.warnings == ["icc_ignored"]
    assert event.processing_seconds == 1.235


@pytest.mark.parametrize("code", list(FailureCode))
def test_failed_says_what_the_table_says_about_its_code(code: FailureCode) -> None:
    """Stage, fault and whether to retry come from one table, for every code."""
    event = failed(REQUEST, JobFailed(code, "side: at most 10, got 11", {"limit": 10, "value": 11}))
    assert isinstance(event, UpscaleFailed)
    kind = FAILURES[code]
    told = event.failure
    assert (told.code, told.stage, told.fault, told.retryable) == (code, kind.stage, kind.fault, kind.retryable)
    assert told.details == {"limit": 10, "value": 11}


def test_failed_never_quotes_an_exception_that_is_not_ours() -> None:
    """A foreign exception may hold a path or a secret; the caller learns only that it is our fault."""
    event = failed(REQUEST, failure(RuntimeError("/secret/path token=abc")))
    assert isinstance(event, UpscaleFailed)
    assert event.failure.code is FailureCode.INTERNAL
    assert "secret" not in event.model_dump_json()


def test_failed_cuts_a_message_to_what_the_schema_allows() -> None:
    """A long message cannot make the failure itself impossible to tell."""
    event = failed(REQUEST, JobFailed(FailureCode.INTERNAL, "x" * 5000))
    assert isinstance(event, UpscaleFailed)
    assert len(event.failure.message) == 2000


def test_failed_becomes_expired_when_the_deadline_passed() -> None:
    """An expired job has a word of its own, and says which deadline it missed."""
    event = failed(REQUEST.model_copy(update={"deadline": DEADLINE}), JobExpired())
    assert isinstance(event, UpscaleExpired)
    assert event.deadline == DEADLINE


def test_summary_names_status_and_code_for_log_and_metric() -> None:
    """Both come from the event itself, so they cannot disagree with what the caller was told."""
    assert summary(failed(REQUEST, JobFailed(FailureCode.IMAGE_CORRUPT, "no"))) == {
        "status": "failed",
        "code": "image_corrupt",
    }
    assert summary(completed(REQUEST, Done(STORED, PROVENANCE), 0.0)) == {
        "status": "completed",
        "code": "",
    }
