"""Events of one job, as a requester sees them."""

from datetime import UTC, datetime

from schemas.events import (
    Failure,
    JobEvent,
    Provenance,
    ResultObject,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleStarted,
    WebhookRejected,
)
from schemas.failures import FailureCode, Fault
from schemas.options import OutputFormat
from schemas.stages import Stage

JOB = "j1"


def completed(
    width: int = 30,
    height: int = 30,
    *,
    scale: float = 1.5,
    output_format: OutputFormat = OutputFormat.JPEG,
    warnings: tuple[str, ...] = (),
) -> UpscaleCompleted:
    """A result of this size."""
    return UpscaleCompleted(
        job_id=JOB,
        result=ResultObject(
            url="s3://upscale/results/k", sha256="ab" * 32, size=1, format=output_format, width=width, height=height
        ),
        provenance=Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1"),
        source_width=round(width / scale),
        source_height=round(height / scale),
        processing_seconds=1.26,
        warnings=list(warnings),
    )


def failed(message: str = "source: is not a picture") -> UpscaleFailed:
    code = FailureCode.IMAGE_FORMAT_UNSUPPORTED
    return UpscaleFailed(
        job_id=JOB,
        failure=Failure(code=code, stage=Stage.DECODE, fault=Fault.CALLER, retryable=False, message=message),
    )


def progress(done: int, total: int) -> UpscaleProgress:
    return UpscaleProgress(job_id=JOB, stage=Stage.BATCH, tiles_done=done, tiles_total=total)


STARTED: JobEvent = UpscaleStarted(job_id=JOB)
CANCELED: JobEvent = UpscaleCanceled(job_id=JOB)
EXPIRED: JobEvent = UpscaleExpired(job_id=JOB, deadline=datetime(2026, 1, 1, tzinfo=UTC))
REJECTED = WebhookRejected(job_id=JOB, reason=FailureCode.URL_BLOCKED, message="webhook.url: it leads inside")
