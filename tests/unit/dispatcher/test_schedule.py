"""Guarantees of pipeline.dispatcher.schedule."""

import pytest

from pipeline.dispatcher.schedule import DELAYS_SECONDS, following
from pipeline.state.records import Abandoned, Answer, Delivered, EndpointKind, Next, Outcome, Reason, RetryAt
from tests.support.attempts import pending

NOW = 1_700_000_000.0
MIDDLE, LEAST = 0.5, 0.0
HOUR = 3600.0
FAILURES = [outcome for outcome in Outcome if outcome not in (Outcome.DELIVERED, Outcome.GONE)]


def answer(outcome: Outcome, status: int | None = None, retry_after: float | None = None) -> Answer:
    return Answer(outcome, status, retry_after, started_at=NOW - 1, seconds=1.0)


def after(
    made: int, outcome: Outcome = Outcome.UNAVAILABLE, status: int | None = 500, retry_after: float | None = None
) -> Next:
    """What follows when attempt number `made` ends so, without jitter."""
    return following(pending(attempts=made - 1), answer(outcome, status, retry_after), NOW, MIDDLE)


def wait(found: Next) -> float:
    assert isinstance(found, RetryAt)
    return found.at - NOW


@pytest.mark.parametrize("made", [1, 8, 20])
def test_delivery_that_arrived_is_over(made: int) -> None:
    assert after(made, Outcome.DELIVERED, 204) == Delivered()


def test_delivery_is_tried_eight_times() -> None:
    """Each wait is the one that the documentation names, and they are more than a day together."""
    waits = [wait(after(made)) for made in range(1, 8)]
    assert waits == [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR]
    assert sum(waits) >= 27 * HOUR
    assert after(8) == Abandoned(Reason.EXHAUSTED)


def test_delivery_beyond_the_last_attempt_is_over() -> None:
    """Somebody asked for one more."""
    assert after(9) == Abandoned(Reason.EXHAUSTED)


@pytest.mark.parametrize("outcome", FAILURES)
def test_every_failure_is_tried_again(outcome: Outcome) -> None:
    """Also an address that may not be called: a name may lead elsewhere tomorrow, and asking costs nobody anything."""
    assert wait(after(3, outcome, None)) == 1800


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("kind", EndpointKind)
def test_receiver_that_is_gone_is_not_asked_again(kind: EndpointKind, once: bool) -> None:
    gone = following(pending(kind=kind, once=once), answer(Outcome.GONE, 410), NOW, MIDDLE)
    assert gone == Abandoned(Reason.GONE)


@pytest.mark.parametrize("outcome", FAILURES)
def test_what_is_soon_out_of_date_is_tried_once(outcome: Outcome) -> None:
    found = following(pending(once=True), answer(outcome, retry_after=1.0), NOW, MIDDLE)
    assert found == Abandoned(Reason.SUPERSEDED)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_url_of_a_request_with_nothing_there_is_tried_three_times(status: int) -> None:
    delivery = [pending(kind=EndpointKind.REQUEST, attempts=made) for made in range(3)]
    refused = answer(Outcome.REFUSED, status)
    assert wait(following(delivery[0], refused, NOW, MIDDLE)) == 5
    assert wait(following(delivery[1], refused, NOW, MIDDLE)) == 300
    assert following(delivery[2], refused, NOW, MIDDLE) == Abandoned(Reason.EXHAUSTED)


@pytest.mark.parametrize("status", [402, 405, 409, 422, 500])
def test_url_of_a_request_with_another_failure_is_tried_to_the_end(status: int) -> None:
    delivery = pending(kind=EndpointKind.REQUEST, attempts=2)
    assert wait(following(delivery, answer(Outcome.REFUSED, status), NOW, MIDDLE)) == 1800


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_registered_endpoint_is_tried_to_the_end_whatever_it_says(status: int) -> None:
    """Its owner may be repairing it."""
    assert wait(after(3, Outcome.REFUSED, status)) == 1800


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.THROTTLED, 429), (Outcome.UNAVAILABLE, 503)])
def test_busy_receiver_has_a_minute_unless_it_says_otherwise(outcome: Outcome, status: int) -> None:
    assert wait(following(pending(), answer(outcome, status), NOW, LEAST)) == 60
    assert wait(following(pending(), answer(outcome, status, retry_after=3.0), NOW, LEAST)) == 4
    assert wait(following(pending(attempts=1), answer(outcome, status), NOW, LEAST)) == 240


def test_receiver_is_left_alone_for_as_long_as_it_asks() -> None:
    """Then a little longer, so that not all deliveries that were held up come in the same second."""
    asked = answer(Outcome.UNAVAILABLE, 503, retry_after=1000.0)
    assert [wait(following(pending(), asked, NOW, chance)) for chance in (0.0, 0.5)] == [1000, 1100]


def test_receiver_cannot_put_off_a_delivery_for_more_than_a_day() -> None:
    assert wait(after(1, retry_after=1e9)) == 24 * HOUR


def test_receiver_cannot_call_a_delivery_earlier() -> None:
    assert wait(after(6, retry_after=1.0)) == DELAYS_SECONDS[6]
