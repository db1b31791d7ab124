"""A job as a receiver is told of it -> the bytes of the body, in the shape that its webhook asks for."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from schemas.callbacks import DEFAULT_PAYLOAD, WebhookEvent
from schemas.webhooks import JobStatus, TestCall, WebhookBody

Render = Callable[[WebhookBody], bytes]
"""Pure: the same gives the same bytes."""


def render_ours(body: WebhookBody) -> bytes:
    """`{type, timestamp, data}`, JSON."""
    return body.model_dump_json(exclude_none=True).encode()


RENDERERS: Mapping[str, Render] = {DEFAULT_PAYLOAD: render_ours}
"""By the `payload` of a webhook. Another product's shape is one more entry, and the delivery stays the same."""


def body_of(event: WebhookEvent, happened_at: float, data: JobStatus | TestCall, payload: str) -> bytes:
    """The body of one message in the shape called `payload`, one of `RENDERERS`."""
    return RENDERERS[payload](WebhookBody(type=event, timestamp=moment(happened_at), data=data))


def moment(seconds: float) -> datetime:
    """Unix seconds as a time in UTC, whole milliseconds."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
