"""How a job ended -> the event that says so. Pure."""

from dataclasses import dataclass

from pipeline.errors import JobExpired, JobFailed
from pipeline.storage.objects import StoredObject
from schemas.events import (
    CancelRequested,
    EventData,
    Failure,
    JobEvent,
    Provenance,
    ResultObject,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleRequested,
)
from schemas.failures import FailureCode

MESSAGE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Done:
    """A job that is done, and what did it."""

    stored: StoredObject
    provenance: Provenance


def completed(request: UpscaleRequested, done: Done, seconds: float) -> UpscaleCompleted:
    """`seconds` is the time from intake to stored."""
    stored = done.stored
    return UpscaleCompleted(
        job_id=request.job_id,
        tenant=request.tenant,
        labels=request.labels,
        result=ResultObject(
            url=stored.url,
            sha256=stored.sha256,
            size=stored.size,
            format=stored.format,
            width=stored.width,
            height=stored.height,
        ),
        provenance=done.provenance,
        warnings=list(stored.source.warnings),
        source_width=stored.source.width,
        source_height=stored.source.height,
        processing_seconds=round(seconds, 3),
    )


def failure(error: Exception) -> JobFailed:
    """`error` as a job's failure. An exception that is not ours is never quoted: it may hold anything."""
    return error if isinstance(error, JobFailed) else JobFailed(FailureCode.INTERNAL, "an internal error; it is logged")


def canceled(request: UpscaleRequested | CancelRequested) -> UpscaleCanceled:
    """The end of a job that was called off."""
    labels = request.labels if isinstance(request, UpscaleRequested) else {}
    return UpscaleCanceled(job_id=request.job_id, tenant=request.tenant, labels=labels)


def failed(request: UpscaleRequested, error: JobFailed) -> JobEvent:
    """What the caller is told."""
    if isinstance(error, JobExpired) and request.deadline is not None:
        return UpscaleExpired(
            job_id=request.job_id, tenant=request.tenant, labels=request.labels, deadline=request.deadline
        )
    return UpscaleFailed(
        job_id=request.job_id,
        tenant=request.tenant,
        labels=request.labels,
        failure=Failure(
            code=error.code,
            stage=error.kind.stage,
            fault=error.kind.fault,
            retryable=error.kind.retryable,
            message=error.message[:MESSAGE_LIMIT],
            details=error.details,
        ),
    )


def summary(event: EventData) -> dict[str, str]:
    """Status and code of a terminal event, for the log line and the metric; code is empty without a failure."""
    code = str(event.failure.code) if isinstance(event, UpscaleFailed) else ""
    return {"status": event.type.split(".")[-2], "code": code}


def transition(event: JobEvent, replay: int = 0) -> str | None:
    """What tells this event of a job from its others; None leaves it to the type. The same again has the same id.

    Progress is told by how far it is, the end of a job by how often an operator has played it again.
    """
    if isinstance(event, UpscaleProgress):
        return f"{event.type}/{event.tiles_done}"
    return f"{event.type}/replay-{replay}" if replay else None
