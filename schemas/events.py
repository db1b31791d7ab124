"""The events, version 1: CloudEvents 1.0.2 whose ids derive from the job, so that a repeat is recognisable."""

from abc import abstractmethod
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from schemas.asked import Asked
from schemas.callbacks import Webhook
from schemas.failures import FailureCode, Fault
from schemas.moment import Moment
from schemas.open_words import OpenTo
from schemas.options import OutputFormat, UpscaleOptions
from schemas.stages import Stage

TYPE_PREFIX = "io.upscale."
EVENT_NAMESPACE = UUID("5a0b7c52-3c5b-5d0e-9d53-0b8f4f6f9c11")

JobId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$")]
Tenant = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Label = Annotated[str, Field(max_length=256)]


Code = Annotated[FailureCode, OpenTo(FailureCode)]
"""Of a failure; the list may grow."""
Where = Annotated[Stage, OpenTo(Stage)]
"""A stage of the data path; the list may grow."""


class EventData(BaseModel):
    """Common to all payloads. Readers tolerate fields they do not know; writers never send them."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    type: ClassVar[str]
    """CloudEvents `type`, version included."""
    terminal: ClassVar[bool] = False
    """Whether the job has ended with this event."""

    tenant: Tenant = "default"
    """On whose behalf; results of different tenants lie apart and share the device fairly."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What it is about, by a name that is the tenant's own; the key of its record."""


class JobData(EventData):
    """A payload about a job."""

    job_id: JobId
    """The caller's name for the job; the same id always means the same job."""

    @property
    def subject(self) -> str:
        return self.job_id


class UpscaleRequested(Asked, JobData):
    """Ask for an upscale. The picture stays where it is; the event carries only a reference."""

    type: ClassVar[str] = f"{TYPE_PREFIX}requested.v1"

    source: Annotated[str, Field(min_length=1, max_length=8192)]
    """Where the picture is: `https://…`, `s3://bucket/key`, or `upload:KEY` for `uploads/TENANT/KEY` in our bucket."""
    options: UpscaleOptions = UpscaleOptions()
    """What is asked for; all of it has defaults."""
    deadline: Moment | None = None
    """After this time the result is of no use; the job then expires instead of running."""
    labels: Annotated[dict[Annotated[str, Field(max_length=64)], Label], Field(max_length=16)] = {}
    """The caller's own notes, returned unchanged in every event of the job."""
    webhook: Webhook | None = None
    """Where the caller wants to hear of the job, beside the events."""


class CancelRequested(Asked, JobData):
    """Call a job off. Harmless when it has ended, and when it has not been asked for yet: it then never runs."""

    type: ClassVar[str] = f"{TYPE_PREFIX}cancel-requested.v1"


class JobEvent(JobData):
    """What we say about a job."""

    labels: dict[str, str] = {}
    """The request's labels, unchanged."""


class UpscaleStarted(JobEvent):
    """A worker has taken the job up. May repeat when a worker is lost."""

    type: ClassVar[str] = f"{TYPE_PREFIX}started.v1"


class UpscaleProgress(JobEvent):
    """How far a running job is."""

    type: ClassVar[str] = f"{TYPE_PREFIX}progress.v1"

    stage: Where
    """Where the job is; the list may grow."""
    tiles_done: Annotated[int, Field(ge=0)]
    """Tiles upscaled so far."""
    tiles_total: Annotated[int, Field(ge=1)]
    """Tiles of the whole picture."""


class ResultObject(BaseModel):
    """The stored picture. Bytes are in the store, never in an event."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    url: Annotated[str, Field(pattern=r"^s3://")]
    """`s3://bucket/key`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the stored bytes, lower-case hexadecimal."""
    size: Annotated[int, Field(gt=0)]
    """Bytes."""
    format: OutputFormat
    """File format."""
    width: Annotated[int, Field(gt=0)]
    """Pixels."""
    height: Annotated[int, Field(gt=0)]
    """Pixels."""


class Provenance(BaseModel):
    """What made the picture."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    model: str
    """The network's exact name."""
    weights_sha256: str
    """Digest of the weights file the network was loaded from."""
    precision: str
    """Arithmetic of the convolutions: `fp32`, `bf16` or `fp16`."""
    version: str
    """Release of the program."""
    face_weights_sha256: dict[str, str] = {}
    """Digest of the weights file of each network that took part in restoring faces, by the network's exact name."""


class UpscaleCompleted(JobEvent):
    """The result is stored. Sent at least once, always with the same id and the same content of `result`."""

    type: ClassVar[str] = f"{TYPE_PREFIX}completed.v1"
    terminal: ClassVar[bool] = True

    result: ResultObject
    """Where the picture is and how to check it."""
    provenance: Provenance
    """What made it."""
    warnings: list[str] = []
    """Remarks that did not prevent the result, such as `animation_dropped`; the list may grow."""
    source_width: Annotated[int, Field(gt=0)]
    """Pixels, upright."""
    source_height: Annotated[int, Field(gt=0)]
    """Pixels, upright."""
    processing_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """From intake to stored, waiting for the device included."""


class Failure(BaseModel):
    """Why there is no result."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    code: Code
    """What happened; the list may grow, so treat a word you do not know by `fault` and `retryable`."""
    stage: Where | None = None
    """Where it happened; absent when before any stage. The list may grow."""
    fault: Fault
    """Who has to act."""
    retryable: bool
    """Whether the same request may succeed later."""
    message: Annotated[str, Field(max_length=2000)]
    """For a person: the field, the limit and the value; never a path, an address or a traceback."""
    details: dict[str, str | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None] = {}
    """The same for a program, for example `{"limit": 25000000, "value": 256000000}`."""


class UpscaleFailed(JobEvent):
    """The job has ended without a result."""

    type: ClassVar[str] = f"{TYPE_PREFIX}failed.v1"
    terminal: ClassVar[bool] = True

    failure: Failure
    """Why."""


class UpscaleCanceled(JobEvent):
    """The caller called it off."""

    type: ClassVar[str] = f"{TYPE_PREFIX}canceled.v1"
    terminal: ClassVar[bool] = True


class UpscaleExpired(JobEvent):
    """The deadline passed before there was a result."""

    type: ClassVar[str] = f"{TYPE_PREFIX}expired.v1"
    terminal: ClassVar[bool] = True

    deadline: Moment
    """The request's deadline."""


class WebhookRejected(JobData):
    """The webhook that a request names is not called. The job itself goes on."""

    type: ClassVar[str] = f"{TYPE_PREFIX}webhook-rejected.v1"

    reason: Code
    """Why: `url_scheme_not_allowed`, `url_blocked` or `invalid_request`; the list may grow."""
    message: Annotated[str, Field(max_length=2000)]
    """For a person; never an address that a name resolved to."""


class WebhookEndpointDisabled(EventData):
    """An endpoint is not called any more, until its owner enables it again. What happens meanwhile is kept for it."""

    type: ClassVar[str] = f"{TYPE_PREFIX}webhook-endpoint-disabled.v1"

    endpoint_id: Annotated[str, Field(min_length=1, max_length=64)]
    """Which one."""
    reason: Literal["gone", "failing"]
    """`gone`: it answered 410. `failing`: nothing but failures for five days."""
    failing_since: Moment | None = None
    """When the first of these failures was."""

    @property
    def subject(self) -> str:
        return self.endpoint_id


ALL_EVENTS: tuple[type[EventData], ...] = (
    UpscaleRequested,
    CancelRequested,
    UpscaleStarted,
    UpscaleProgress,
    UpscaleCompleted,
    UpscaleFailed,
    UpscaleCanceled,
    UpscaleExpired,
    WebhookRejected,
    WebhookEndpointDisabled,
)
EVENT_TYPES: dict[str, type[EventData]] = {event.type: event for event in ALL_EVENTS}


class Event(BaseModel):
    """A CloudEvents 1.0.2 envelope around one payload."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    specversion: Literal["1.0"] = "1.0"
    """Version of CloudEvents."""
    id: Annotated[str, Field(min_length=1, max_length=256)]
    """The same for every repeat of one event."""
    source: Annotated[str, Field(min_length=1, max_length=1024)]
    """URI-reference of who says it; `source` and `id` together are unique."""
    time: Moment | None = None
    """When it happened."""
    data: SerializeAsAny[EventData]
    """The payload."""

    @property
    def type(self) -> str:
        return self.data.type


def event_id(tenant: str, subject: str, transition: str) -> str:
    """Derived, not drawn: whoever says again that the job made `transition` says it under the same id.

    Jobs of two tenants may share a name, so the tenant is part of it; neither it nor the subject can hold a slash.
    """
    return str(uuid5(EVENT_NAMESPACE, f"{tenant}/{subject}/{transition}"))


def event_from(data: EventData, *, source: str, time: datetime, transition: str | None = None) -> Event:
    """Wrap `data`; `transition` tells repeats of a repeatable event (progress) apart and defaults to the type."""
    return Event(id=event_id(data.tenant, data.subject, transition or data.type), source=source, time=time, data=data)
