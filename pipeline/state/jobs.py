"""What the events say of a job, as one row. Pure: any events of a job, in any order and however often, make one row.

Two parts are merged apart. The state is that of the greatest event by rank, time and id: an end outlasts whatever is
heard late of the job's run, and of two ends, of a job that was played again, the later one holds. The request is the
one that was made first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.callbacks import Webhook
from schemas.events import (
    Event,
    EventData,
    JobData,
    JobEvent,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleRequested,
    UpscaleStarted,
)
from schemas.webhooks import JobState, JobStatus

SKEW_SECONDS = 300.0
"""A time further ahead of ours is not believed: callers write what they like, and such a job would never grow old."""

STATES: dict[type[EventData], JobState] = {
    UpscaleRequested: JobState.QUEUED,
    UpscaleStarted: JobState.RUNNING,
    UpscaleProgress: JobState.RUNNING,
    UpscaleCompleted: JobState.COMPLETED,
    UpscaleFailed: JobState.FAILED,
    UpscaleCanceled: JobState.CANCELED,
    UpscaleExpired: JobState.EXPIRED,
}
"""What an event says about the state of its job. Events that are not here say nothing about it."""

ENDED = 2
"""Rank of every state that is an end."""


class JobName(NamedTuple):
    """Which job."""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What its requester was told of a job while it ran."""

    count: int = 0
    """Calls so far."""
    at: float | None = None
    """When the last of them was made."""
    event_id: str | None = None
    """What it told of."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, as far as its events are known. Times are Unix seconds."""

    name: JobName
    state: JobState
    event_at: float
    """When the event happened that made the state."""
    event_id: str
    labels: Mapping[str, str]
    detail: Mapping[str, Any]
    """Fields of `JobStatus` that are the event's own: progress, result, warnings or failure."""
    created_at: float | None = None
    """When it was asked for; None while the request has not been seen."""
    webhook: Webhook | None = None
    """The request's."""
    told: Told = Told()

    @property
    def rank(self) -> int:
        """Queued 0, running 1, ended 2."""
        return rank_of(self.state)

    @property
    def height(self) -> tuple[int, float, str]:
        """The row only ever moves up in it."""
        return (self.rank, self.event_at, self.event_id)


def rank_of(state: JobState) -> int:
    """What a state outranks, later events may not bring back."""
    return ENDED if state.terminal else int(state is JobState.RUNNING)


def row_of(event: Event, heard_at: float) -> JobRow | None:
    """The row that one event makes; None when it says nothing about the state of a job.

    `heard_at` is when the broker got it: it stands in for a time that is missing or cannot be.
    """
    data = event.data
    state = STATES.get(type(data))
    if state is None or not isinstance(data, (UpscaleRequested, JobEvent)):
        return None
    at = _time_of(event, heard_at)
    # PostgreSQL has no text with a zero in it.
    row = JobRow(_name_of(data), state, at, event.id.replace("\0", "\N{SYMBOL FOR NULL}"), data.labels, _detail(data))
    return replace(row, created_at=at, webhook=data.webhook) if isinstance(data, UpscaleRequested) else row


def merged(one: JobRow, other: JobRow) -> JobRow:
    """What both rows of one job say together. Neither order nor repetition changes it."""
    state = max(one, other, key=lambda row: row.height)
    request = min(one, other, key=_seniority)
    return replace(
        state,
        labels=state.labels if request.created_at is None else request.labels,
        created_at=request.created_at,
        webhook=request.webhook,
        told=max(one.told, other.told, key=lambda told: told.count),
    )


def status_of(row: JobRow, result_url: str | None = None) -> JobStatus:
    """The job as its owner sees it; `result_url` stands in for the address in the store, which is not everybody's."""
    detail = dict(row.detail)
    if result_url is not None and "result" in detail:
        detail["result"] = {**detail["result"], "url": result_url}
    return JobStatus(
        job_id=row.name.job_id,
        tenant=row.name.tenant,
        state=row.state,
        labels=dict(row.labels),
        created_at=None if row.created_at is None else _moment(row.created_at),
        updated_at=_moment(row.event_at),
        ended_at=_moment(row.event_at) if row.state.terminal else None,
        **detail,
    )


def _seniority(row: JobRow) -> tuple[bool, float, str]:
    """The least is the request that counts; what two at the same time say has to be told apart somehow."""
    said = "" if row.webhook is None else row.webhook.model_dump_json()
    return (row.created_at is None, row.created_at or 0.0, said + repr(sorted(row.labels.items())))


def _time_of(event: Event, heard_at: float) -> float:
    told = heard_at if event.time is None else event.time.timestamp()
    return told if told <= heard_at + SKEW_SECONDS else heard_at


def _name_of(data: JobData) -> JobName:
    return JobName(data.tenant, data.job_id)


def _detail(data: EventData) -> dict[str, Any]:
    match data:
        case UpscaleProgress():
            return {"progress": data.model_dump(mode="json", include={"stage", "tiles_done", "tiles_total"})}
        case UpscaleCompleted():
            return data.model_dump(mode="json", include={"result", "warnings"})
        case UpscaleFailed():
            return data.model_dump(mode="json", include={"failure"})
        case _:
            return {}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
