import pytest

from pipeline.dispatcher.targets import callable_origin, rejected
from pipeline.storage.urls import UrlPolicy
from schemas.callbacks import Webhook
from schemas.events import UpscaleRequested
from schemas.failures import FailureCode


@pytest.mark.parametrize("url", ["https://[]@", "https://h:99999/", "https://h:abc", "https://é[]@"])
def test_webhook_that_is_no_url_is_rejected_and_has_no_endpoint(url: str) -> None:
    """Its requester is told, and the records beside it are taken."""
    request = UpscaleRequested(job_id="j", source="https://example.com/a", webhook=Webhook(url=url))
    told = rejected(request, UrlPolicy())
    assert told is not None
    assert (told.reason, told.message) == (FailureCode.URL_BLOCKED, "webhook.url: this is not a well-formed URL")
    assert callable_origin(Webhook(url=url), UrlPolicy()) is None
