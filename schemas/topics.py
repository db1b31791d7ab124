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
DEAD_LETTER_ATTEMPTS = "dlq-attempts"
DEAD_LETTER_VERSION = "dlq-version"
VALUE_OMITTED = "dlq-value-omitted"
"""Bytes of a value that was too large to be parked; it lies where the `orig-` headers say."""

MARKED = "mark-letter"
"""On a mark, a record of the dead-letter topic that is no letter: which one was dealt with, PARTITION/OFFSET."""
MARK_OUTCOME = "mark-outcome"
"""On a mark: how, `replayed` or `dropped`."""

DEAD_LETTER_HEADERS = frozenset(
    {
        DEAD_LETTER_REASON,
        DEAD_LETTER_DETAIL,
        DEAD_LETTER_ATTEMPTS,
        DEAD_LETTER_VERSION,
        VALUE_OMITTED,
        ORIGIN_TOPIC,
        ORIGIN_PARTITION,
        ORIGIN_OFFSET,
        ORIGIN_TIMESTAMP,
        MARKED,
        MARK_OUTCOME,
    }
)
"""All that we write on the dead-letter topic: a record that brings one of them from elsewhere is parked without it."""

ATTEMPT = "x-attempt"
"""Which attempt at the job a record stands for, from 1; absent on a first one."""
FIRST_SEEN = "x-first-ts"
"""When the job was first handed on, RFC 3339."""
NOT_BEFORE = "x-not-before"
"""When a record on a retry topic is due, RFC 3339."""
RETRY_REASON = "x-reason"
"""Why it is there: a failure code, or `leased`."""
ORIGIN = "x-origin"
"""Where the record lay first, TOPIC/PARTITION/OFFSET: what a request without an id is named after stays the same."""
REPLAY = "x-replay"
"""How often an operator has played the job again; absent means never."""


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
class Tier:
    """A step of the retry schedule: one delay for each of its topics, so that records fall due in their order."""

    name: str
    delay_seconds: int


TIERS = (Tier("30s", 30), Tier("5m", 300), Tier("30m", 1800))
"""A job that may succeed later waits on these, one after the other."""
RETRY_PARTITIONS = 4
"""Few jobs wait, and what waits needs no throughput."""


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one deployment. Every key is the job id: jobs are independent and should spread evenly."""

    requests: dict[Lane, Topic]
    retries: dict[Lane, tuple[Topic, ...]]
    """For each lane one topic a tier of `TIERS`: the lane of a record is the topic it lies on, here too."""
    control: Topic
    """Cancellations; every worker reads all of it."""
    events: Topic
    dead_letters: Topic

    @property
    def request_lanes(self) -> dict[str, Lane]:
        """The lane of each request topic."""
        return {topic.name: lane for lane, topic in self.requests.items()}

    @property
    def retry_lanes(self) -> dict[str, Lane]:
        """The lane of each retry topic."""
        return {topic.name: lane for lane, tiers in self.retries.items() for topic in tiers}

    def all(self) -> tuple[Topic, ...]:
        retries = (topic for tiers in self.retries.values() for topic in tiers)
        return (*self.requests.values(), *retries, self.control, self.events, self.dead_letters)


def declare(prefix: str = "upscale", *, partitions: int = 16) -> Topics:
    """The topics under `prefix`. Partitions bound the number of workers and should not change later."""
    week = 7 * DAY_MS
    return Topics(
        requests={lane: Topic(f"{prefix}.requests.{lane}", partitions, retention_ms=week) for lane in Lane},
        retries={
            lane: tuple(
                Topic(f"{prefix}.retries.{lane}.{tier.name}", min(partitions, RETRY_PARTITIONS), retention_ms=week)
                for tier in TIERS
            )
            for lane in Lane
        },
        control=Topic(f"{prefix}.control", 1, retention_ms=DAY_MS),
        events=Topic(f"{prefix}.events", partitions, retention_ms=week),
        dead_letters=Topic(f"{prefix}.dead-letters", 1, retention_ms=30 * DAY_MS, max_message_bytes=DEAD_LETTER_BYTES),
    )
