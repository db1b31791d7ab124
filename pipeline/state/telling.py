"""When the requester of a job that has not ended is called next. Pure."""

from pipeline.state.jobs import JobRow
from schemas.callbacks import Webhook, WebhookEvent, WebhookMode
from schemas.webhooks import JobState

TELL_SECONDS = 15.0
"""Longest silence while a job runs: what mode `sync` promises."""
LEAST_SECONDS = 2.0
"""Shortest time between two calls, however much there is to tell."""
FORGET_SECONDS = 86_400.0
"""A job that has not been heard of for a day is lost or stuck, and saying so every 15 seconds helps nobody."""


def next_telling(row: JobRow, now: float) -> float | None:
    """When the next call is due, by our clock, which `now` reads; None when none is.

    A job that runs is told of at once, one that waits after `TELL_SECONDS`; then again so long after the last call, or
    `LEAST_SECONDS` after it when there is news. May lie in the past: then it is due now.
    """
    if row.state.terminal or not follows(row.webhook):
        return None
    due = _due(row, now)
    return due if max(due, now) <= row.event_at + FORGET_SECONDS else None


def follows(webhook: Webhook | None) -> bool:
    """Whether it wants to be called before the end."""
    if webhook is None or webhook.mode is not WebhookMode.SYNC:
        return False
    return webhook.wants(WebhookEvent.PROGRESS)


def _due(row: JobRow, now: float) -> float:
    if row.told.at is None:
        # By the worker's clock, which may be ahead of ours.
        since = min(row.event_at, now)
        return since if row.state is JobState.RUNNING else since + TELL_SECONDS
    return row.told.at + (TELL_SECONDS if row.told.event_id == row.event_id else LEAST_SECONDS)
