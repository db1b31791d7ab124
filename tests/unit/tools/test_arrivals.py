"""The demo's receiver verifies as a customer's would."""

from pipeline.tools.arrivals import TOLERANCE_SECONDS, genuine

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
AT = 1_614_265_330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_published_vector_is_genuine() -> None:
    """Of Standard Webhooks."""
    assert genuine(HEADERS, BODY, SECRET, AT)
    signed = {"webhook-signature": f"v1,AAAA {HEADERS['webhook-signature']}"}
    assert genuine(HEADERS | signed, BODY, SECRET, AT + TOLERANCE_SECONDS)


def test_anything_else_is_not() -> None:
    """Another body, another time, another secret, no signature at all."""
    assert not genuine(HEADERS, BODY + b" ", SECRET, AT)
    assert not genuine(HEADERS, BODY, SECRET, AT + TOLERANCE_SECONDS + 1)
    assert not genuine(HEADERS, BODY, "whsec_" + "A" * 32, AT)
    assert not genuine(HEADERS | {"webhook-timestamp": "soon"}, BODY, SECRET, AT)
    assert not genuine({}, BODY, SECRET, AT)
