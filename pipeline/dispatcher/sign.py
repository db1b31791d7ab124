"""The signature of a message, as Standard Webhooks 1.0.0 has it. Pure.

What is signed is `ID.TIMESTAMP.BODY`, the body byte for byte as it is sent.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.state.records import KeyKind, SigningKey


def signature_headers(message_id: str, timestamp: int, body: bytes, keys: Sequence[SigningKey]) -> dict[str, str]:
    """The headers that let a receiver verify `body`, one signature for each of `keys`, in their order.

    `timestamp` is the Unix second of the attempt. Raises `ValueError` without a key, and for an id that contains a
    full stop: with one, two different messages could have the same signature.
    """
    if not keys or "." in message_id:
        raise ValueError("a signature needs a key, and an id without a full stop")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"{key.kind},{_base64(_signature(key, signed))}" for key in keys),
    }


def shown(key: SigningKey) -> str:
    """What a receiver needs to verify: `whsec_` and the secret itself, or `whpk_` and the public key."""
    if key.kind is KeyKind.HMAC:
        return f"whsec_{_base64(key.secret)}"
    public = Ed25519PrivateKey.from_private_bytes(key.secret).public_key()
    return f"whpk_{_base64(public.public_bytes_raw())}"


def _signature(key: SigningKey, signed: bytes) -> bytes:
    if key.kind is KeyKind.HMAC:
        return hmac.digest(key.secret, signed, "sha256")
    return Ed25519PrivateKey.from_private_bytes(key.secret).sign(signed)


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
