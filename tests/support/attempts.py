"""Deliveries that are due and keys to sign them with, as plain values for one attempt."""

from pipeline.state.records import Endpoint, EndpointKind, KeyKind, PendingDelivery, SigningKey
from schemas.callbacks import WebhookEvent

HMAC_KEY = SigningKey(KeyKind.HMAC, bytes(range(32)), created_at=0.0)
ED25519_KEY = SigningKey(KeyKind.ED25519, bytes(range(32, 64)), created_at=0.0)


def pending(
    url: str = "https://hooks.example/hook",
    *,
    kind: EndpointKind = EndpointKind.REGISTERED,
    attempts: int = 0,
    once: bool = False,
    body: bytes = b'{"type":"upscale.completed"}',
) -> PendingDelivery:
    """A delivery that is due."""
    endpoint = Endpoint(
        id="ep_1",
        tenant="acme",
        kind=kind,
        url=url,
        host="hooks.example",
        events=None,
        payload="upscale",
        created_at=0.0,
    )
    return PendingDelivery(
        id="dlv_1",
        message_id="msg_1",
        endpoint=endpoint,
        event=WebhookEvent.COMPLETED,
        url=url,
        body=body,
        created_at=0.0,
        attempts=attempts,
        once=once,
    )
