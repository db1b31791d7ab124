"""One example of every event, as documentation shows it and tests validate it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from schemas.callbacks import Webhook
from schemas.codec import CONTENT_TYPE, STRUCTURED_JSON, Message, encode, to_document
from schemas.events import (
    CancelRequested,
    Event,
    EventData,
    Failure,
    Provenance,
    ResultObject,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleRequested,
    UpscaleStarted,
    WebhookEndpointDisabled,
    WebhookRejected,
    event_from,
)
from schemas.failures import FAILURES, FailureCode
from schemas.options import OutputFormat, UpscaleOptions
from schemas.stages import Stage

PLATFORM = "/media-ingest/eu-1"
SERVICE = "/upscale/eu-1"
SENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)

_JOB: Final[dict[str, Any]] = {
    "job_id": "0197a3c2-7d1e-7c44-9a55-3f2b8e6d1c07",
    "tenant": "photo-desk",
    "labels": {"article": "48213"},
}
_TOO_LARGE = FAILURES[FailureCode.IMAGE_TOO_LARGE]

REQUEST = UpscaleRequested(
    **_JOB,
    source="https://pictures.example.com/harbour.jpg",
    options=UpscaleOptions(scale=4, output_format=OutputFormat.WEBP, quality=90),
    deadline=SENT + timedelta(hours=1),
    webhook=Webhook(url="https://hooks.example.com/upscale"),
)
PAYLOADS: tuple[EventData, ...] = (
    REQUEST,
    CancelRequested(job_id=_JOB["job_id"], tenant=_JOB["tenant"]),
    UpscaleStarted(**_JOB),
    UpscaleProgress(**_JOB, stage=Stage.BATCH, tiles_done=12, tiles_total=40),
    UpscaleCompleted(
        **_JOB,
        result=ResultObject(
            url="s3://upscale/results/photo-desk/0197a3c2-7d1e-7c44-9a55-3f2b8e6d1c07/5d41402abc4b2a76.webp",
            sha256="b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
            size=1_482_310,
            format=OutputFormat.WEBP,
            width=4096,
            height=2732,
        ),
        provenance=Provenance(
            model="realesrgan-x4plus",
            weights_sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            precision="fp16",
            version="0.1.0",
        ),
        warnings=["animation_dropped"],
        source_width=1024,
        source_height=683,
        processing_seconds=2.417,
    ),
    UpscaleFailed(
        **_JOB,
        failure=Failure(
            code=FailureCode.IMAGE_TOO_LARGE,
            stage=_TOO_LARGE.stage,
            fault=_TOO_LARGE.fault,
            retryable=_TOO_LARGE.retryable,
            message="image: limit 25000000 pixels, got 256000000 (16000 x 16000)",
            details={"field": "image", "limit": 25_000_000, "value": 256_000_000},
        ),
    ),
    UpscaleCanceled(**_JOB),
    UpscaleExpired(**_JOB, deadline=SENT + timedelta(hours=1)),
    WebhookRejected(
        job_id=_JOB["job_id"],
        tenant=_JOB["tenant"],
        reason=FailureCode.URL_SCHEME_NOT_ALLOWED,
        message="webhook.url: the scheme must be https, got 'http'",
    ),
    WebhookEndpointDisabled(
        tenant=_JOB["tenant"],
        endpoint_id="ep_2x7kq4m9",
        reason="failing",
        failing_since=SENT - timedelta(days=5),
    ),
)


def example(payload: EventData) -> Event:
    """The payload in its envelope."""
    asked = isinstance(payload, (UpscaleRequested, CancelRequested))
    return event_from(
        payload, source=PLATFORM if asked else SERVICE, time=SENT if asked else SENT + timedelta(seconds=3)
    )


EXAMPLES: dict[str, Event] = {payload.type: example(payload) for payload in PAYLOADS}


def records() -> dict[str, dict[str, Any]]:
    """Name -> a Kafka record as `{"key", "headers", "value"}`: every event, and what is asked in all three modes."""
    asked, off = EXAMPLES[UpscaleRequested.type], EXAMPLES[CancelRequested.type]
    return {
        "requested.bare": _bare({"source": REQUEST.source, "options": {"scale": 2}}),
        "requested.structured": _structured(asked),
        "cancel-requested.bare": _bare(off.data.model_dump(mode="json")),
        "cancel-requested.structured": _structured(off),
        **{short_name(event.type): record(encode(event)) for event in EXAMPLES.values()},
    }


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    return {"key": None, "headers": {}, "value": value}


def _structured(event: Event) -> dict[str, Any]:
    return {"key": event.data.subject, "headers": {CONTENT_TYPE: STRUCTURED_JSON}, "value": to_document(event)}


def short_name(event_type: str) -> str:
    """`requested` for `io.upscale.requested.v1`."""
    return event_type.split(".")[-2]


def record(message: Message) -> dict[str, Any]:
    """A message with its bytes shown as what they hold."""
    return {
        "key": message.key.decode(),
        "headers": {name: value.decode() for name, value in message.headers},
        "value": orjson.loads(message.value),
    }
