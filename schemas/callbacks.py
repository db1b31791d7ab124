"""Where a requester wants to hear of its job: the `webhook` of a request."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from schemas.asked import Asked

DEFAULT_PAYLOAD = "upscale"
"""Our own envelope; other products' shapes have names of their own."""


class WebhookMode(StrEnum):
    """How often a webhook is called."""

    TERMINAL = "terminal"  # once, when the job has ended
    SYNC = "sync"  # while the job runs, at least every 15 seconds, and when it has ended


class WebhookEvent(StrEnum):
    """What a webhook is called for: the `type` of the body."""

    PROGRESS = "upscale.progress"
    COMPLETED = "upscale.completed"
    FAILED = "upscale.failed"
    CANCELED = "upscale.canceled"
    EXPIRED = "upscale.expired"
    TEST = "webhook.test"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL_EVENTS


TERMINAL_EVENTS = frozenset({WebhookEvent.COMPLETED, WebhookEvent.FAILED, WebhookEvent.CANCELED, WebhookEvent.EXPIRED})


class Webhook(Asked):
    """Call this address when something becomes of the job."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    """`https://…` at a public address. One that may not be called fails no job; `webhook-rejected` says why."""
    mode: WebhookMode = WebhookMode.TERMINAL
    """Whether progress is told too."""
    events: Annotated[tuple[WebhookEvent, ...], Field(min_length=1, max_length=len(WebhookEvent))] | None = None
    """Only these; null is all that the mode has. With none that can come the webhook is not called."""
    payload: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")] = DEFAULT_PAYLOAD
    """Shape of the body; `upscale` is the only one so far."""

    def wants(self, event: WebhookEvent) -> bool:
        """Whether it is to be called for `event`."""
        by_mode = event.terminal or event is WebhookEvent.TEST or self.mode is WebhookMode.SYNC
        return by_mode and (self.events is None or event in self.events)
