"""Which webhooks of requests are not called, and what is said of them."""

import pytest

from pipeline.dispatcher.targets import callable_origin, rejected
from pipeline.settings import FetchSettings
from pipeline.storage.sources import url_policy
from schemas.callbacks import Webhook, WebhookEvent, WebhookMode
from schemas.events import UpscaleRequested
from schemas.failures import FailureCode

POLICY = url_policy(FetchSettings())
URL = "https://hooks.example.com/done"
PROGRESS, FAILED, TEST = WebhookEvent.PROGRESS, WebhookEvent.FAILED, WebhookEvent.TEST


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((PROGRESS,), "webhook.events: none of upscale.progress comes in mode terminal"),
        ((PROGRESS, TEST), "webhook.events: none of upscale.progress, webhook.test comes in mode terminal"),
    ],
)
def test_webhook_that_no_event_could_reach_is_rejected(events: tuple[WebhookEvent, ...], told: str) -> None:
    """It would be waited for in vain; the job itself goes on."""
    webhook = Webhook(url=URL, events=events)
    found = rejected(UpscaleRequested(job_id="a", source="s3://b/k", webhook=webhook), POLICY)
    assert found is not None
    assert (found.reason, found.message) == (FailureCode.INVALID_REQUEST, told)
    assert callable_origin(webhook, POLICY) is None


@pytest.mark.parametrize(
    "webhook",
    [
        Webhook(url=URL),
        Webhook(url=URL, events=(PROGRESS, FAILED)),
        Webhook(url=URL, events=(PROGRESS,), mode=WebhookMode.SYNC),
    ],
)
def test_webhook_that_one_event_may_reach_is_called(webhook: Webhook) -> None:
    """What comes of it is told."""
    assert rejected(UpscaleRequested(job_id="a", source="s3://b/k", webhook=webhook), POLICY) is None
    assert callable_origin(webhook, POLICY) == "https://hooks.example.com"


@pytest.mark.parametrize("url", ["https://[]@", "https://h:99999/", "https://h:abc", "https://é[]@"])
def test_webhook_that_is_no_url_is_rejected_and_has_no_endpoint(url: str) -> None:
    """Its requester is told, and the records beside it are taken."""
    request = UpscaleRequested(job_id="j", source="https://example.com/a", webhook=Webhook(url=url))
    told = rejected(request, POLICY)
    assert told is not None
    assert (told.reason, told.message) == (FailureCode.URL_BLOCKED, "webhook.url: this is not a well-formed URL")
    assert callable_origin(Webhook(url=url), POLICY) is None
