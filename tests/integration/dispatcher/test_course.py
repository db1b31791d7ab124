"""What becomes of a delivery, from its first attempt to its end, at a receiver that always answers alike.

The receiver, the attempts and the database are real; the clock moves when told.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from pipeline.dispatcher.deliver import open_deliverer
from pipeline.dispatcher.places import Held
from pipeline.dispatcher.schedule import DELAYS_SECONDS
from pipeline.dispatcher.work import DeliveryWork
from pipeline.settings import StateSettings, WebhookSettings
from pipeline.state import deliveries, endpoints
from pipeline.state.database import Database, open_database
from pipeline.state.delivery_log import LoggedDelivery, log_of
from pipeline.state.endpoints import NewEndpoint
from pipeline.state.migrate import migrate
from pipeline.state.records import Attempted, DeliveryState, Endpoint, Outcome, Reason
from tests.support.clock import FakeClock
from tests.support.deliveries import new_delivery
from tests.support.webhooks import Answering, later, receiver, redirect, reset, status, throttled

pytestmark = pytest.mark.integration

NOW = 1_800_000_000.0
SETTINGS = WebhookSettings(allow_http=True, allow_private_addresses=True, attempt_timeout_seconds=1.0)
NO_JITTER = 0.5
ALL = len(DELAYS_SECONDS)


@pytest.fixture
async def database(sqlite_state: StateSettings) -> AsyncIterator[Database]:
    async with open_database(sqlite_state, migrating=True) as database:
        await migrate(database)
        yield database


@dataclass(frozen=True, slots=True)
class Course:
    """What happened to one delivery."""

    log: LoggedDelivery
    waits: list[float]
    """From each attempt's end to the next one's beginning, seconds."""
    endpoint: Endpoint
    bodies: set[bytes]
    ids: set[str]


async def course(database: Database, script: Answering) -> Course:
    """Attempt it whenever it is due, until it is not pending any more."""
    clock, waits = FakeClock(NOW), list[float]()
    async with receiver(script) as at, open_deliverer(SETTINGS) as send:
        async with database.write() as connection:
            endpoint = await endpoints.register(connection, NewEndpoint("acme", at.url()), NOW)
            await deliveries.plan(connection, [new_delivery(endpoint, created_at=NOW)])
        work = DeliveryWork(database, send, SETTINGS, lambda: NO_JITTER, clock)
        while claimed := await work.claim(Held()):
            [(delivery, keys)] = claimed
            answer = await work.deliver(delivery, keys)
            await work.record([Attempted(delivery, answer, work.decide(delivery, answer))])
            log, ended = await looked_up(database, endpoint), clock.now
            if log.due_at is not None:
                clock.now = max(log.due_at, clock.now)
                waits.append(clock.now - ended)
        async with database.read() as connection:
            after = await endpoints.find(connection, endpoint.id)
    assert after is not None
    calls = at.calls
    return Course(log, waits, after, {each.body for each in calls}, {each.headers["webhook-id"] for each in calls})


async def looked_up(database: Database, endpoint: Endpoint) -> LoggedDelivery:
    async with database.read() as connection:
        [log] = await log_of(connection, endpoint_id=endpoint.id)
    return log


async def test_success_is_one_attempt(database: Database) -> None:
    found = await course(database, status(200))
    assert found.log.state is DeliveryState.DELIVERED
    assert [(each.outcome, each.status) for each in found.log.attempts] == [(Outcome.DELIVERED, 200)]
    assert found.endpoint.health.failures_in_row == 0


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param(status(500), Outcome.UNAVAILABLE, id="500"),
        pytest.param(redirect("https://example.com/"), Outcome.REDIRECTED, id="301"),
        pytest.param(status(404), Outcome.REFUSED, id="404"),
        pytest.param(reset(), Outcome.UNREACHABLE, id="closed"),
    ],
)
async def test_failure_is_tried_again_by_the_schedule_and_then_given_up(
    database: Database, script: Answering, outcome: Outcome
) -> None:
    """Eight attempts over more than 27 hours, each the same message, byte for byte."""
    found = await course(database, script)
    assert (found.log.state, found.log.reason) == (DeliveryState.ABANDONED, Reason.EXHAUSTED)
    assert [each.outcome for each in found.log.attempts] == [outcome] * ALL
    assert found.waits == pytest.approx(DELAYS_SECONDS[1:])
    assert len(found.bodies) == len(found.ids) == 1
    assert found.endpoint.health.failures_in_row == ALL
    assert found.endpoint.disabled_at is None


async def test_slow_answer_is_a_failure_in_its_time(database: Database) -> None:
    found = await course(database, later(60.0, status(200)))
    assert {each.outcome for each in found.log.attempts} == {Outcome.TIMEOUT}
    assert all(each.seconds < 10 * SETTINGS.attempt_timeout_seconds for each in found.log.attempts)


async def test_gone_is_the_end_of_delivery_and_endpoint(database: Database) -> None:
    found = await course(database, status(410))
    assert (found.log.state, found.log.reason) == (DeliveryState.ABANDONED, Reason.GONE)
    assert len(found.log.attempts) == 1
    assert (found.endpoint.disabled_at, found.endpoint.disabled_reason) == (NOW, "gone")


async def test_wish_of_the_receiver_makes_waits_longer_and_none_shorter(database: Database) -> None:
    """An hour is longer than the first steps and shorter than the last ones."""
    found = await course(database, throttled("3600"))
    assert [each.outcome for each in found.log.attempts] == [Outcome.THROTTLED] * ALL
    wanted = 3600 * 1.1
    assert found.waits == pytest.approx([max(wanted, delay) for delay in DELAYS_SECONDS[1:]])
