"""What `upscale webhooks` prints."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.state.delivery_log import LoggedAttempt, LoggedDelivery
from pipeline.state.records import DeliveryState, Endpoint, Health, KeyKind, Outcome, Reason, SigningKey
from pipeline.tools import webhook_lines
from schemas.callbacks import WebhookEvent
from tests.support.deliveries import NOON, an_endpoint

FAILED = LoggedAttempt(1, NOON, 0.1204, Outcome.UNAVAILABLE, 503)
LATE = LoggedAttempt(2, NOON + 5, 30.0, Outcome.TIMEOUT, None)
PENDING = LoggedDelivery(
    id="d-1",
    message_id="msg_1",
    endpoint_id="ep_1",
    tenant="acme",
    job_id="job-7",
    event=WebhookEvent.COMPLETED,
    url="https://example.com/hook?token=secret",
    created_at=NOON,
    state=DeliveryState.PENDING,
    reason=None,
    due_at=NOON + 305,
    attempts=(FAILED, LATE),
)
ENDED = replace(PENDING, state=DeliveryState.DELIVERED, due_at=None)
GIVEN_UP = replace(ENDED, state=DeliveryState.ABANDONED, reason=Reason.EXHAUSTED)
WELL = an_endpoint()
DISABLED = replace(an_endpoint(disabled_at=NOON), disabled_reason="gone")
HELD = an_endpoint(health=Health(12, NOON - 60, NOON + 600))


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        (WELL, "ok"),
        (an_endpoint(health=Health(3, NOON)), "failing since 2027-01-15T08:00:00Z, 3 in a row"),
        (HELD, "held until 2027-01-15T08:10:00Z, failing since 2027-01-15T07:59:00Z, 12 in a row"),
        (an_endpoint(health=Health(12, NOON, NOON)), "failing since 2027-01-15T08:00:00Z, 12 in a row"),
        (DISABLED, "disabled since 2027-01-15T08:00:00Z: gone"),
        (replace(DISABLED, health=HELD.health), "disabled since 2027-01-15T08:00:00Z: gone"),
    ],
)
def test_standing_says_whether_an_endpoint_is_called_and_why_not(endpoint: Endpoint, told: str) -> None:
    assert webhook_lines.standing(endpoint, NOON) == told
    assert webhook_lines.endpoint_document(endpoint, NOON)["state"] == told.split(" ", maxsplit=1)[0]


def test_endpoints_are_listed_in_columns_without_the_query() -> None:
    secret = replace(an_endpoint("ep_10"), url="https://example.com/a?token=secret#x")
    assert webhook_lines.endpoint_listing([WELL, secret], NOON) == [
        "endpoint  kind        tenant  url                       state",
        "ep_1      registered  acme    https://example.com/hook  ok",
        "ep_10     registered  acme    https://example.com/a     ok",
    ]
    assert webhook_lines.endpoint_document(secret, NOON)["url"] == "https://example.com/a"


def test_endpoint_is_told_to_a_program_with_times_to_the_millisecond() -> None:
    """And it is held only as long as it is."""
    held = webhook_lines.endpoint_document(HELD, NOON)
    assert held["created_at"] == "2027-01-15T08:00:00.000Z"
    assert (held["failing_since"], held["failures_in_row"]) == ("2027-01-15T07:59:00.000Z", 12)
    assert held["held_until"] == "2027-01-15T08:10:00.000Z"
    assert webhook_lines.endpoint_document(HELD, NOON + 600)["held_until"] is None


def test_keys_are_listed_with_their_end_and_no_private_half() -> None:
    hmac = SigningKey(KeyKind.HMAC, bytes(32), NOON, NOON + 60)
    pair = SigningKey(KeyKind.ED25519, bytes(32), NOON)
    heading, first, second = webhook_lines.key_listing([pair, hmac])
    assert heading.split() == ["kind", "since", "until", "key"]
    assert first.split() == ["v1a", "2027-01-15T08:00:00Z", "-", "whpk_O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="]
    assert second.split() == ["v1", "2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z", f"whsec_{'A' * 43}="]


def test_delivery_is_told_with_each_attempt() -> None:
    assert webhook_lines.delivery_lines(PENDING, WELL, NOON) == [
        "2027-01-15T08:00:00Z  upscale.completed  job job-7  next attempt 2027-01-15T08:05:05Z",
        "    delivery d-1, message msg_1",
        "    acme, endpoint ep_1, https://example.com/hook",
        "    1.  2027-01-15T08:00:00Z  503  unavailable  120 ms",
        "    2.  2027-01-15T08:00:05Z  -    timeout      30000 ms",
    ]


@pytest.mark.parametrize(
    ("delivery", "endpoint", "told", "next_attempt"),
    [
        (PENDING, WELL, "next attempt 2027-01-15T08:05:05Z", NOON + 305),
        (PENDING, HELD, "next attempt 2027-01-15T08:10:00Z", NOON + 600),
        (replace(PENDING, due_at=NOON), WELL, "due now", NOON),
        (PENDING, DISABLED, "waits until its endpoint is enabled", None),
        (ENDED, DISABLED, "delivered", None),
        (GIVEN_UP, HELD, "given up: exhausted", None),
    ],
)
def test_end_or_next_attempt_is_told(
    delivery: LoggedDelivery, endpoint: Endpoint, told: str, next_attempt: float | None
) -> None:
    """The next attempt is not before its endpoint may be called."""
    assert webhook_lines.end(delivery, endpoint, NOON) == told
    assert webhook_lines.delivery_document(delivery, endpoint)["next_attempt"] == webhook_lines.iso(next_attempt)


def test_delivery_is_told_to_a_program() -> None:
    told = webhook_lines.delivery_document(GIVEN_UP, WELL)
    assert (told["delivery"], told["job_id"], told["event"]) == ("d-1", "job-7", "upscale.completed")
    assert (told["state"], told["reason"]) == ("abandoned", "exhausted")
    assert told["url"] == "https://example.com/hook"
    assert told["attempts"][1] == {
        "number": 2,
        "started_at": "2027-01-15T08:00:05.000Z",
        "milliseconds": 30_000,
        "outcome": "timeout",
        "status": None,
    }


@given(st.text(), st.text())
def test_nothing_that_others_named_reaches_the_terminal_as_an_order(url: str, job_id: str) -> None:
    delivery = replace(PENDING, url=f"https://x/{url}", job_id=job_id, tenant=job_id)
    endpoint = replace(WELL, url=delivery.url)
    lines = webhook_lines.delivery_lines(delivery, endpoint, NOON)
    lines += webhook_lines.endpoint_listing([endpoint], NOON)
    assert all(line.isascii() and line.isprintable() for line in lines)


@given(st.lists(st.tuples(st.text("ab"), st.text("ab"), st.just("end")), min_size=1))
def test_cells_stand_under_one_another(rows: list[tuple[str, str, str]]) -> None:
    lines = webhook_lines.columns(rows)
    assert all(first.rindex("end") == second.rindex("end") for first, second in pairwise(lines))
