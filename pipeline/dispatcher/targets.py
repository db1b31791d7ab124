"""Whether a webhook that a request names may be called; decided on its text, before anything is resolved."""

from pipeline.dispatcher.payload import RENDERERS
from pipeline.storage.urls import UrlPolicy, UrlRefused, admit
from schemas.callbacks import Webhook, WebhookEvent
from schemas.events import UpscaleRequested, WebhookRejected
from schemas.failures import FailureCode


def callable_origin(webhook: Webhook, policy: UrlPolicy) -> str | None:
    """Scheme, host and port, lower case; None when the webhook may not be called."""
    return None if _fault(webhook, policy) else str(admit(webhook.url, policy).origin()).lower()


def rejected(request: UpscaleRequested, policy: UrlPolicy) -> WebhookRejected | None:
    """What the requester is told when its webhook is not called."""
    webhook = request.webhook
    found = None if webhook is None else _fault(webhook, policy)
    if found is None:
        return None
    code, message = found
    return WebhookRejected(job_id=request.job_id, tenant=request.tenant, reason=code, message=message)


def _fault(webhook: Webhook, policy: UrlPolicy) -> tuple[FailureCode, str] | None:
    if webhook.payload not in RENDERERS:
        known = ", ".join(sorted(RENDERERS))
        return FailureCode.INVALID_REQUEST, f"webhook.payload: must be one of {known}, got {webhook.payload!r}"
    if not any(webhook.wants(event) for event in WebhookEvent if event is not WebhookEvent.TEST):
        named = ", ".join(webhook.events or ())
        return FailureCode.INVALID_REQUEST, f"webhook.events: none of {named} comes in mode {webhook.mode}"
    try:
        admit(webhook.url, policy)
    except UrlRefused as refused:
        return refused.code, f"webhook.url: {refused.message}"
    return None
