"""What lies on the dead-letter topic: letters, and the marks that say which of them were dealt with. Pure.

Kafka deletes no single record. A letter that was played again or given up is followed by a mark on the same topic; the
mark is the younger of the two, so it is kept at least as long.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pipeline.kafka.retry import Headers, first_origin, history, moment
from pipeline.kafka.scan import Record
from schemas import codec, topics
from schemas.events import JobData

UNKNOWN = "unknown"
"""The reason of a record that somebody else put there."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a letter lies on its topic."""

    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`PARTITION/OFFSET`, or `OFFSET` of partition 0. Raises `ValueError`."""
        partition, _, offset = text.rpartition("/")
        if not (partition or "0").isdecimal() or not offset.isdecimal():
            raise ValueError(f"must be OFFSET or PARTITION/OFFSET, got {text!r}")
        return cls(int(partition or 0), int(offset))

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a letter's record was read before it was parked."""

    topic: str
    partition: int
    offset: int
    appended: datetime | None

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A parked record, but for its content."""

    place: Place
    parked: datetime
    reason: str
    detail: str
    version: str
    attempts: int
    replays: int
    """How often it had been played again when it was parked."""
    origin: Origin | None
    """None when it is not ours."""
    tenant: str | None
    """None when no job can be read from it."""
    job_id: str | None
    size: int
    """Bytes of the value as its sender sent it."""
    omitted: bool
    """Whether the value was too large to be parked."""


class Outcome(StrEnum):
    """How a letter was dealt with."""

    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Mark:
    """Says that the letter at `place` was dealt with."""

    place: Place
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stock:
    """All letters, in the order in which they were parked, and the marks on them."""

    letters: tuple[Letter, ...]
    marks: dict[Place, Outcome]

    @property
    def open(self) -> tuple[Letter, ...]:
        """Those that nobody has dealt with."""
        return tuple(letter for letter in self.letters if letter.place not in self.marks)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; None does not restrict."""

    reason: str | None = None
    since: datetime | None = None
    """Parked at that time or later."""
    origin: str | None = None
    """Topic."""
    tenant: str | None = None
    job_id: str | None = None
    places: frozenset[Place] | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is restricted."""
        return self == Wanted()

    def includes(self, letter: Letter) -> bool:
        return (
            self.reason in (None, letter.reason)
            and (self.since is None or letter.parked >= self.since)
            and self.origin in (None, letter.origin.topic if letter.origin else "")
            and self.tenant in (None, letter.tenant)
            and self.job_id in (None, letter.job_id)
            and (self.places is None or letter.place in self.places)
        )


def stock(entries: Iterable[Letter | Mark]) -> Stock:
    """The first mark on a letter counts: what was played again cannot be dropped any more."""
    letters: list[Letter] = []
    marks: dict[Place, Outcome] = {}
    for entry in entries:
        if isinstance(entry, Letter):
            letters.append(entry)
        else:
            marks.setdefault(entry.place, entry.outcome)
    return Stock(tuple(sorted(letters, key=lambda letter: (letter.parked, letter.place))), marks)


def understood(record: Record) -> Letter | Mark:
    """A record of the dead-letter topic. What is not as we write it is a letter of an unknown sender."""
    headers = dict(record.headers)
    # A letter is never a mark, whatever headers its sender gave it: it would hide itself and another one.
    return (None if topics.DEAD_LETTER_REASON in headers else _mark(headers)) or _letter(record)


def mark_headers(place: Place, outcome: Outcome) -> Headers:
    """The headers of a mark."""
    return ((topics.MARKED, str(place).encode()), (topics.MARK_OUTCOME, outcome.encode()))


def _mark(headers: dict[str, bytes]) -> Mark | None:
    try:
        place = Place.parse(_text(headers, topics.MARKED))
        return Mark(place, Outcome(_text(headers, topics.MARK_OUTCOME)))
    except ValueError:
        return None


def _letter(record: Record) -> Letter:
    headers, past = dict(record.headers), history(record.headers)
    origin = _origin(headers)
    job = _job(record, origin)
    return Letter(
        place=Place(record.partition, record.offset),
        parked=record.timestamp,
        reason=_text(headers, topics.DEAD_LETTER_REASON) or UNKNOWN,
        detail=_text(headers, topics.DEAD_LETTER_DETAIL),
        version=_text(headers, topics.DEAD_LETTER_VERSION),
        attempts=_number(headers, topics.DEAD_LETTER_ATTEMPTS, past.attempt),
        replays=past.replay,
        origin=origin,
        tenant=job.tenant if job else None,
        job_id=job.job_id if job else None,
        size=_number(headers, topics.VALUE_OMITTED, len(record.value or b"")),
        omitted=topics.VALUE_OMITTED in headers,
    )


def _origin(headers: dict[str, bytes]) -> Origin | None:
    topic = _text(headers, topics.ORIGIN_TOPIC)
    partition, offset = (_number(headers, name, -1) for name in (topics.ORIGIN_PARTITION, topics.ORIGIN_OFFSET))
    if not topic or min(partition, offset) < 0:
        return None
    return Origin(topic, partition, offset, moment(headers.get(topics.ORIGIN_TIMESTAMP)))


def _job(record: Record, origin: Origin | None) -> JobData | None:
    """What names its job tells it, even when the rest of it breaks a rule."""
    try:
        data = codec.decode(record.value, record.headers, origin=first_origin(record.headers, str(origin))).data
    except codec.InvalidRequest as error:
        return error.request
    except codec.UndecodableEvent:
        return None
    return data if isinstance(data, JobData) else None


def _text(headers: dict[str, bytes], name: str) -> str:
    return headers.get(name, b"").decode(errors="replace")


def _number(headers: dict[str, bytes], name: str, otherwise: int) -> int:
    text = headers.get(name, b"")
    return int(text) if text.isdigit() and len(text) < 20 else otherwise
