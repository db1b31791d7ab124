"""What subscribers receive over HTTP: the public contract, apart from our own events.

A delivery follows Standard Webhooks 1.0.0: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, and a
JSON body of `type`, `timestamp` and `data`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.callbacks import WebhookEvent
from schemas.events import Failure, JobId, Tenant
from schemas.options import OutputFormat
from schemas.stages import Stage


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Progress(_Said):
    """How far a running job is."""

    stage: Stage
    """Where it is."""
    tiles_done: Annotated[int, Field(ge=0)]
    """Tiles upscaled so far."""
    tiles_total: Annotated[int, Field(ge=1)]
    """Tiles of the whole picture."""


class ResultFile(_Said):
    """The picture that was made."""

    url: str
    """Where it can be read for some days: a signed `https://…`, or `s3://bucket/key` where none are given out."""
    sha256: str
    """Digest of its bytes, lower-case hexadecimal."""
    size: int
    """Bytes."""
    format: OutputFormat
    """File format."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


class JobStatus(_Said):
    """A job as its owner sees it: `data` of the body. Never holds the address of the source."""

    job_id: JobId
    """The caller's name for the job."""
    tenant: Tenant
    """On whose behalf."""
    state: JobState
    """Where the job is."""
    labels: dict[str, str] = {}
    """The request's labels, unchanged."""
    progress: Progress | None = None
    """While it runs."""
    result: ResultFile | None = None
    """When it has completed."""
    failure: Failure | None = None
    """When it has failed."""
    warnings: list[str] = []
    """Remarks that did not prevent the result."""
    created_at: datetime | None = None
    """When it was asked for; absent where that is not known yet."""
    updated_at: datetime
    """When it was last heard of."""
    ended_at: datetime | None = None
    """When it reached its end."""


class TestCall(_Said):
    """`data` of a `webhook.test`."""

    message: str = "This is a test. Nothing has happened to any job."


class WebhookBody(_Said):
    """The whole body."""

    type: WebhookEvent
    """What happened."""
    timestamp: datetime
    """When it happened, RFC 3339; the time of the attempt is the header `webhook-timestamp`."""
    data: JobStatus | TestCall
    """To what."""
