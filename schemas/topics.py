"""Topics, their keys and the headers we set. Declared once; `upscale topics` creates and checks them from here."""

from dataclasses import dataclass
from enum import StrEnum

DAY_MS = 86_400_000

DEAD_LETTER_BYTES = 16 * 2**20
"""Largest dead letter: one that is too large for any event of ours has to fit too, beside the headers it gains."""

DEAD_LETTER_REASON = "dlq-reason"
DEAD_LETTER_DETAIL = "dlq-detail"
ORIGIN_TOPIC = "orig-topic"
ORIGIN_PARTITION = "orig-partition"
ORIGIN_OFFSET = "orig-offset"
ORIGIN_TIMESTAMP = "orig-ts"
VALUE_OMITTED = "dlq-value-omitted"
"""Bytes of a value that was too large to be parked; it lies where the `orig-` headers say."""


class Lane(StrEnum):
    """How urgent a request is; it is the topic it was sent to, not a field of it."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as we want it."""

    name: str
    partitions: int
    retention_ms: int
    max_message_bytes: int | None = None
    """Largest record it takes; unset leaves that to the broker, whose default is 1 MiB."""

    @property
    def configuration(self) -> dict[str, int]:
        """What differs from the broker's defaults, in Kafka's words."""
        size = {} if self.max_message_bytes is None else {"max.message.bytes": self.max_message_bytes}
        return {"retention.ms": self.retention_ms} | size


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one deployment. Every key is the job id: jobs are independent and should spread evenly."""

    requests: dict[Lane, Topic]
    events: Topic
    dead_letters: Topic

    def all(self) -> tuple[Topic, ...]:
        return (*self.requests.values(), self.events, self.dead_letters)


def declare(prefix: str = "upscale", *, partitions: int = 16) -> Topics:
    """The topics under `prefix`. Partitions bound the number of workers and should not change later."""
    return Topics(
        requests={lane: Topic(f"{prefix}.requests.{lane}", partitions, retention_ms=7 * DAY_MS) for lane in Lane},
        events=Topic(f"{prefix}.events", partitions, retention_ms=7 * DAY_MS),
        dead_letters=Topic(f"{prefix}.dead-letters", 1, retention_ms=30 * DAY_MS, max_message_bytes=DEAD_LETTER_BYTES),
    )
