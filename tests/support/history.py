"""What happened during a run of the fault suite, and what was found when all was quiet: types only.

`at` is in seconds on the machine's monotonic clock, which its processes share and which no skewed clock moves.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["completed", "failed", "canceled", "expired", "parked"]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Expected(_Fact):
    """How a request must end, whatever breaks meanwhile."""

    state: State = "completed"
    code: str = ""
    """Failure code, or the reason of the dead letter."""
    kept: bool = False
    """Whether the record of a failure lies among the dead letters too, for the same reason."""
    width: int = 0
    height: int = 0
    pixels_sha256: str = ""
    """Of the decoded result's samples, (height, width, 3) uint8; empty when only the size is known."""


class Accepted(_Fact):
    """The broker has acknowledged the request. One that names no job goes by its record's key."""

    kind: Literal["accepted"] = "accepted"
    at: float
    tenant: str
    job_id: str
    expected: Expected


class Unknown(_Fact):
    """A request that was sent and never acknowledged: it may be done or not, but not done wrong."""

    kind: Literal["unknown"] = "unknown"
    at: float
    tenant: str
    job_id: str


class Begun(_Fact):
    """A worker began to work on a job."""

    kind: Literal["begun"] = "begun"
    at: float
    tenant: str
    job_id: str
    worker: int
    """Process id."""


class Ended(_Fact):
    """It has a result or a failure, told to nobody yet."""

    kind: Literal["ended"] = "ended"
    at: float
    tenant: str
    job_id: str
    worker: int
    computed: bool = True
    """False when it was never batched for the device: an earlier result was found, or the source could not be had."""


class Holding(_Fact):
    """A worker had more records of the broker at once than ever before, those that wait for a place included."""

    kind: Literal["holding"] = "holding"
    at: float
    worker: int
    records: int


class Told(_Fact):
    """A terminal event was on the topic."""

    kind: Literal["told"] = "told"
    at: float
    tenant: str
    job_id: str
    event_id: str
    state: State
    code: str = ""
    """Of a failure."""
    key: str = ""
    """Of the result's object; this and what follows only when completed."""
    sha256: str = ""
    width: int = 0
    height: int = 0
    content_sha256: str = ""
    """Of the whole event, its time included."""


class Stopping(_Fact):
    """A worker was asked to stop, and has had the time to notice."""

    kind: Literal["stopping"] = "stopping"
    at: float
    worker: int


class FaultBegan(_Fact):
    kind: Literal["fault_began"] = "fault_began"
    at: float
    name: str


class FaultEnded(_Fact):
    """The fault is over; for a kill, that is when it began."""

    kind: Literal["fault_ended"] = "fault_ended"
    at: float
    name: str
    recovery_seconds: float
    """The next completion may take this long, if anything was left to do."""
    killed: int | None = None
    """The worker that is no more: an event of its own may still be heard after its end, and is no recovery."""


Entry = Annotated[
    Accepted | Unknown | Begun | Ended | Holding | Told | Stopping | FaultBegan | FaultEnded,
    Field(discriminator="kind"),
]


class FoundObject(_Fact):
    """An object under the results, as it was read back."""

    key: str
    sha256: str
    width: int = 0
    height: int = 0
    pixels_sha256: str = ""
    """Empty, and both sides 0, when it is no picture."""


class FoundPartition(_Fact):
    """A partition of a request topic, or of a retry topic."""

    topic: str
    partition: int
    committed: int
    end: int


class FoundDeadLetter(_Fact):
    key: str
    reason: str


class Final(_Fact):
    """What was found when nothing moved any more."""

    objects: tuple[FoundObject, ...] = ()
    partitions: tuple[FoundPartition, ...] = ()
    dead_letters: tuple[FoundDeadLetter, ...] = ()
    open_uploads: tuple[str, ...] = ()
    """Keys of multipart uploads that were begun and neither finished nor aborted."""
    overwritten: tuple[str, ...] = ()
    """Keys of results that the store took more than once."""


class Limits(_Fact):
    """What a run may cost; None is not checked."""

    extra_executions: int | None = None
    """Of all jobs together, beyond the first of each."""
    executions_of_a_job: int | None = None
    jobs_in_hand: int | None = None
    """Of one worker at a time."""
    records_held: int | None = None
    """Of one worker at a time, those that wait for a place included."""
    repeated_events: int | None = None
    """Of all jobs together."""
    caught_up_seconds: float | None = None
    """After a fault, until all that was accepted before its end has ended."""


class History(_Fact):
    """One run."""

    entries: tuple[Entry, ...]
    """In the order of their `at`."""
    final: Final
    limits: Limits = Limits()
