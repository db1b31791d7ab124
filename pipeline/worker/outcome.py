"""How a job ended -> the event that says so. Pure."""

from dataclasses import dataclass

from pipeline.errors import JobExpired, JobFailed
from pipeline.worker.upscale import Upscaled
from schemas.events import (
    Failure,
    JobEvent,
    Provenance,
    ResultObject,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleRequested,
)
from schemas.failures import FailureCode

MESSAGE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Done:
    """A job that is done, and what did it."""

    upscaled: Upscaled
    provenance: Provenance


def completed(request: UpscaleRequested, done: Done, seconds: float) -> UpscaleCompleted:
    """`seconds` is the time from intake to stored."""
    upscaled = done.upscaled
    stored = upscaled.stored
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
        warnings=list(upscaled.warnings),
        source_width=upscaled.source_width,
        source_height=upscaled.source_height,
        processing_seconds=round(seconds, 3),
    )


def failed(request: UpscaleRequested, error: Exception) -> JobEvent:
    """What the caller is told. An exception that is not ours is never quoted: it may hold anything."""
    if isinstance(error, JobExpired) and request.deadline is not None:
        return UpscaleExpired(
            job_id=request.job_id, tenant=request.tenant, labels=request.labels, deadline=request.deadline
        )
    failure = (
        error if isinstance(error, JobFailed) else JobFailed(FailureCode.INTERNAL, "an internal error; it is logged")
    )
    return UpscaleFailed(
        job_id=request.job_id,
        tenant=request.tenant,
        labels=request.labels,
        failure=Failure(
            code=failure.code,
            stage=failure.kind.stage,
            fault=failure.kind.fault,
            retryable=failure.kind.retryable,
            message=failure.message[:MESSAGE_LIMIT],
            details=failure.details,
        ),
    )


def summary(event: JobEvent) -> dict[str, str]:
    """Status and code of a terminal event, for the log line and the metric; code is empty without a failure."""
    code = str(event.failure.code) if isinstance(event, UpscaleFailed) else ""
    return {"status": event.type.split(".")[-2], "code": code}
