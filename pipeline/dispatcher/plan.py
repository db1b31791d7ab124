"""What a job's row means for its receivers: who is to be told what. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid5

from pipeline.state.jobs import JobRow
from pipeline.state.records import DeliveryState, Endpoint, NewDelivery, Reason
from schemas.callbacks import WebhookEvent
from schemas.events import EVENT_NAMESPACE
from schemas.webhooks import JobState

EVENT_OF_STATE = {
    JobState.QUEUED: WebhookEvent.PROGRESS,
    JobState.RUNNING: WebhookEvent.PROGRESS,
    JobState.COMPLETED: WebhookEvent.COMPLETED,
    JobState.FAILED: WebhookEvent.FAILED,
    JobState.CANCELED: WebhookEvent.CANCELED,
    JobState.EXPIRED: WebhookEvent.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of one message."""

    endpoint: Endpoint
    url: str
    payload: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A message to an endpoint, not yet written down."""

    delivery: NewDelivery
    endpoint: Endpoint


def message_id(event_id: str) -> str:
    """The `webhook-id` of an event: derived, so that every dispatcher gives it the same, and without a dot."""
    return f"msg_{uuid5(EVENT_NAMESPACE, event_id).hex}"


def telling_id(row: JobRow) -> str:
    """The `webhook-id` of a progress call that has just been counted."""
    return message_id(f"{row.name.tenant}/{row.name.job_id}/told/{row.told.count}")


def news(old: JobRow | None, new: JobRow) -> bool:
    """Whether receivers are to be told that the job has ended: when it has, and when it is learnt for whom."""
    if not new.state.terminal:
        return False
    return old is None or old.event_id != new.event_id or (old.webhook is None and new.webhook is not None)


def targets(row: JobRow, registered: Sequence[Endpoint], own: Endpoint | None) -> Iterator[Target]:
    """Who is to be told of the end of a job: `own` is the endpoint of the request's webhook, when it may be called.

    An endpoint hears of what happened since it was registered.
    """
    event = EVENT_OF_STATE[row.state]
    yield from called(row, own)
    for endpoint in registered:
        if endpoint.created_at <= row.event_at and (endpoint.events is None or event in endpoint.events):
            yield Target(endpoint, endpoint.url, endpoint.payload)


def called(row: JobRow, own: Endpoint | None) -> Iterator[Target]:
    """The webhook of the request, when it wants to hear what the row says."""
    if own and row.webhook and row.webhook.wants(EVENT_OF_STATE[row.state]):
        yield Target(own, row.webhook.url, row.webhook.payload)


def delivery(target: Target, row: JobRow, message: str, body: bytes, *, now: float, once: bool = False) -> NewDelivery:
    """The message for one receiver. For one that is disabled it is kept, not sent."""
    endpoint = target.endpoint
    disabled = endpoint.disabled_at is not None
    return NewDelivery(
        id=str(uuid5(EVENT_NAMESPACE, f"{message}/{endpoint.id}")),
        message_id=message,
        endpoint_id=endpoint.id,
        tenant=row.name.tenant,
        job_id=row.name.job_id,
        event=EVENT_OF_STATE[row.state],
        url=target.url,
        body=body,
        created_at=now if once else row.event_at,
        due_at=now,
        once=once,
        state=DeliveryState.ABANDONED if disabled else DeliveryState.PENDING,
        reason=Reason.DISABLED if disabled else None,
    )
