"""What the attempts act through: the database, and one attempt after the other."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from pipeline.dispatcher import schedule
from pipeline.dispatcher.attempts import BEGIN_SECONDS, Keys, Ports
from pipeline.dispatcher.deliver import Deliver
from pipeline.dispatcher.places import Held
from pipeline.settings import WebhookSettings
from pipeline.state import claims, deliveries, recording, signing_keys
from pipeline.state.claims import Room
from pipeline.state.database import Database
from pipeline.state.health import slots
from pipeline.state.records import Answer, Attempted, Endpoint, Next, Outcome, PendingDelivery
from pipeline.telemetry import metrics
from pipeline.telemetry.stage import stage
from schemas.stages import Stage

log = structlog.get_logger()

CLAIM_MARGIN_SECONDS = 15.0
"""A claim outlasts its attempt by this: time to write down what came of it."""
AHEAD = 4
"""So many times what may be attempted at once is claimed, and waits here for a place: a claim costs by the claim."""


@dataclass(slots=True)
class DeliveryWork:
    """The ports of `Attempts`, for real."""

    database: Database
    send: Deliver
    settings: WebhookSettings
    chance: Callable[[], float]
    """From [0, 1), for the jitter of the schedule."""
    now: Callable[[], float]
    """Unix seconds."""
    start: str = ""
    """Where the next claim looks first."""

    def ports(self) -> Ports:
        return Ports(
            claim=self.claim,
            deliver=self.deliver,
            decide=self.decide,
            record=self.record,
            release=self.release,
            has_room=self.has_room,
            now=monotonic,
        )

    @property
    def lease_seconds(self) -> float:
        """How long a claim is ours."""
        return BEGIN_SECONDS + self.settings.attempt_timeout_seconds + CLAIM_MARGIN_SECONDS

    def has_room(self, held: Held, endpoint: Endpoint) -> bool:
        """As a claim has it."""
        most, settings = slots(endpoint.health, self.now(), self.settings.endpoint_concurrency), self.settings
        return (
            most == settings.endpoint_concurrency
            and held.total < AHEAD * settings.concurrency
            and held.endpoints[endpoint.id] < AHEAD * most
            and held.hosts[endpoint.host] < AHEAD * settings.host_concurrency
        )

    async def claim(self, held: Held) -> Sequence[tuple[PendingDelivery, Keys]]:
        """What there is room for, with its keys."""
        number = AHEAD * self.settings.concurrency - held.total
        if number <= 0:
            return []
        room = Room(
            number=number,
            per_endpoint=AHEAD * self.settings.endpoint_concurrency,
            per_host=AHEAD * self.settings.host_concurrency,
            busy=held.endpoints,
            busy_hosts=held.hosts,
            start=self.start,
        )
        now = self.now()
        async with self.database.write() as connection:
            claimed = await claims.claim(connection, room, now, self.lease_seconds)
            endpoints = {each.endpoint.id: each.endpoint for each in claimed.deliveries}
            keys = await signing_keys.keys_of(connection, endpoints.values(), now)
        self.start = claimed.start
        return [(each, keys[each.endpoint.id]) for each in claimed.deliveries]

    async def deliver(self, delivery: PendingDelivery, keys: Keys) -> Answer:
        """One attempt, counted."""
        if delivery.number == 1:
            metrics.WEBHOOK_FIRST_ATTEMPT_SECONDS.observe(max(0.0, self.now() - delivery.created_at))
        with stage(Stage.DELIVER):
            answer = await self.send(delivery, keys)
        metrics.WEBHOOK_ATTEMPTS.labels(answer.outcome).inc()
        # A line for each success would cost a tenth of it, and tell what the delivery log and the metrics do.
        write = log.debug if answer.outcome is Outcome.DELIVERED else log.info
        write(
            "attempt",
            message_id=delivery.message_id,
            endpoint=delivery.endpoint.id,
            number=delivery.number,
            outcome=str(answer.outcome),
            status=answer.status,
            seconds=round(answer.seconds, 4),
        )
        return answer

    def decide(self, delivery: PendingDelivery, answer: Answer) -> Next:
        """What follows from an answer."""
        return schedule.following(delivery, answer, self.now(), self.chance())

    async def record(self, attempted: Sequence[Attempted]) -> None:
        """Write down what came of attempts, and what follows."""
        async with self.database.write() as connection:
            await recording.record(connection, attempted, self.now())

    async def release(self, ids: Collection[str]) -> None:
        """Others may claim these at once."""
        async with self.database.write() as connection:
            await deliveries.release(connection, ids)
