"""What the worker says: events, dead letters, and how long it waits before it says them again."""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.kafka.deadletter import park
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.telemetry import tracing
from pipeline.worker.intake import Undecodable
from schemas import codec
from schemas.events import JobEvent, UpscaleProgress, event_from
from schemas.topics import Topics

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outbox:
    """The worker's way to the broker."""

    publisher: Publisher
    topics: Topics
    event_source: str
    """CloudEvents `source` of all that is said."""

    async def say(self, event: JobEvent) -> None:
        """Return once the broker has the event, in the trace of the job. Raises `JobFailed`."""
        envelope = event_from(event, source=self.event_source, time=datetime.now(UTC), transition=transition(event))
        await self.publisher.publish(self.topics.events.name, codec.encode(envelope), headers=tracing.inject())

    async def park(self, received: Received, why: Undecodable) -> None:
        """Return once the dead-letter topic has the record. Raises `JobFailed`."""
        await park(self.publisher, self.topics.dead_letters.name, received, why.reason, why.detail)

    async def pause(self, attempt: int) -> None:
        """Wait before the `attempt`-th repeat; jittered, so that workers do not all come back at one moment."""
        await asyncio.sleep(longest_pause(attempt) * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret


def transition(event: JobEvent) -> str:
    """What tells this event of a job from its others: the same again gives the same id."""
    return f"{event.type}/{event.tiles_done}" if isinstance(event, UpscaleProgress) else event.type


def longest_pause(attempt: int) -> float:
    """Seconds; doubles with each attempt, counted from 1."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 10))
