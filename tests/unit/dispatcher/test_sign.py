"""Guarantees of pipeline.dispatcher.sign, checked by code that others wrote."""

import base64
import time

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

from pipeline.dispatcher.sign import shown, signature_headers
from pipeline.state.records import KeyKind, SigningKey
from tests.support.attempts import ED25519_KEY, HMAC_KEY

BODY = '{"type":"upscale.completed","data":{"label":"größer"}}'.encode()
OTHER_KEY = SigningKey(KeyKind.HMAC, b"o" * 24, created_at=0.0)


def signatures(*keys: SigningKey) -> list[tuple[str, bytes]]:
    told = signature_headers("msg_1", 1_700_000_000, BODY, keys)["webhook-signature"]
    parts = (each.partition(",") for each in told.split(" "))
    return [(version, base64.b64decode(signature, validate=True)) for version, _, signature in parts]


def test_signature_is_the_published_one() -> None:
    """The example of the Standard Webhooks specification."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    key = SigningKey(KeyKind.HMAC, secret, created_at=0.0)
    assert signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}', [key]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert shown(key) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_message_passes_the_reference_library() -> None:
    headers = signature_headers("msg_1", int(time.time()), BODY, [HMAC_KEY])
    webhook = standardwebhooks.Webhook(shown(HMAC_KEY))
    assert webhook.verify(BODY, headers)["type"] == "upscale.completed"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        webhook.verify(BODY + b" ", headers)


def test_message_passes_the_official_client_of_replicate() -> None:
    """Whoever comes from there changes the secret and nothing else."""
    headers = signature_headers("msg_1", int(time.time()), BODY, [HMAC_KEY])
    secret = WebhookSigningSecret(key=shown(HMAC_KEY))
    Webhooks.validate(headers=headers, body=BODY.decode(), secret=secret, tolerance=300)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=BODY.decode() + " ", secret=secret)


def test_message_is_verified_with_the_public_key_alone() -> None:
    [(version, signature)] = signatures(ED25519_KEY)
    prefix, _, public = shown(ED25519_KEY).partition("_")
    assert (version, prefix) == ("v1a", "whpk")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
    key.verify(signature, b"msg_1.1700000000." + BODY)
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"msg_1.1700000001." + BODY)


def test_public_key_does_not_show_the_private_one() -> None:
    assert base64.b64encode(ED25519_KEY.secret).decode() not in shown(ED25519_KEY)


def test_message_is_signed_with_every_key_during_a_rotation() -> None:
    """A receiver that has either secret is content, in both libraries, and beside a signature of another kind."""
    keys = (OTHER_KEY, ED25519_KEY, HMAC_KEY)
    headers = signature_headers("msg_1", int(time.time()), BODY, keys)
    assert [version for version, _ in signatures(*keys)] == ["v1", "v1a", "v1"]
    for key in (OTHER_KEY, HMAC_KEY):
        standardwebhooks.Webhook(shown(key)).verify(BODY, headers)
        Webhooks.validate(headers=headers, body=BODY.decode(), secret=WebhookSigningSecret(key=shown(key)))


def test_id_with_a_full_stop_is_not_signed() -> None:
    """`a.1` at second 2 and `a` at second 1 would be signed alike, before the right body."""
    with pytest.raises(ValueError):
        signature_headers("msg.1", 2, BODY, [HMAC_KEY])


def test_message_is_not_signed_with_no_key() -> None:
    with pytest.raises(ValueError):
        signature_headers("msg_1", 2, BODY, [])
