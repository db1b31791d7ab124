"""What the worker says: events, records handed on, and dead letters. All of it returns when the broker has it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.kafka import deadletter
from pipeline.kafka.deadletter import Why
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.kafka.retry import handed_on, with_origin
from pipeline.telemetry import metrics, tracing
from pipeline.worker.breaker import Breaker
from pipeline.worker.outcome import transition
from pipeline.worker.verdict import Again
from schemas import codec
from schemas.events import Event, JobEvent, event_from
from schemas.topics import TIERS, Topics


@dataclass(frozen=True, slots=True)
class Outbox:
    """The worker's way to the broker. What must arrive waits for as long as the broker is away."""

    publisher: Publisher
    topics: Topics
    event_source: str
    """CloudEvents `source` of all that is said."""
    breaker: Breaker

    async def mention(self, event: JobEvent) -> None:
        """Say what nobody's result depends on, in the trace of the job. Raises `JobFailed` when it does not arrive."""
        await self._publish(
            event_from(event, source=self.event_source, time=datetime.now(UTC), transition=transition(event))
        )

    async def say(self, event: Event) -> None:
        """Say how a job ended."""
        await self.breaker.call(lambda: self._publish(event))

    async def hand_on(self, received: Received, again: Again) -> None:
        """Put the record on the retry topic of its lane and tier, where it waits until it is due."""
        topic = self.topics.retries[received.lane][TIERS.index(again.tier)].name
        named = with_origin(received.headers, received.position.origin)
        headers = handed_on(named, attempt=again.attempt, tier=again.tier, reason=again.reason, now=datetime.now(UTC))
        await self.breaker.call(
            lambda: self.publisher.send(topic, key=received.key, value=received.value, headers=headers)
        )
        metrics.RETRIES.labels(again.reason, again.tier.name).inc()

    async def put_back(self, received: Received) -> None:
        """Put a record that has waited on a retry topic back on the request topic of its lane."""
        topic = self.topics.requests[received.lane].name
        await self.breaker.call(
            lambda: self.publisher.send(topic, key=received.key, value=received.value, headers=received.headers)
        )

    async def park(self, received: Received, why: Why) -> None:
        """Put the record on the dead-letter topic."""
        topic = self.topics.dead_letters.name
        await self.breaker.call(lambda: deadletter.park(self.publisher, topic, received, why))

    async def _publish(self, event: Event) -> None:
        await self.publisher.publish(self.topics.events.name, codec.encode(event), headers=tracing.inject())
