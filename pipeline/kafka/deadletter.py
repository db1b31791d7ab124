"""Records nobody can be told about: parked as they came, with where they lay and why they were not understood."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog

from pipeline.kafka.publish import Headers, MessageTooLarge, Publisher
from pipeline.kafka.records import Received
from pipeline.telemetry import metrics
from schemas import topics

MAX_DETAIL_BYTES = 1024

log = structlog.get_logger(__name__)


async def park(publisher: Publisher, topic: str, record: Received, reason: str, detail: str) -> None:
    """Return once the record is acknowledged on `topic`; only then may its offset be finished.

    `reason` is a stable word, `detail` a sentence without secrets. Key and value keep their bytes. What the broker does
    not take together with our headers stays where it was, and a header says so: a record that could never be parked
    would hold up its partition for ever. Raises `JobFailed` with BROKER_UNAVAILABLE.
    """
    await _send_largest(publisher, topic, letters(record, reason, detail))
    metrics.DEAD_LETTERS.labels(record.position.topic, reason).inc()
    log.warning("record_parked", origin=record.position.origin, reason=reason, detail=detail[:MAX_DETAIL_BYTES])


@dataclass(frozen=True, slots=True)
class Letter:
    """What lies on the dead-letter topic for a record."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def letters(record: Received, reason: str, detail: str) -> Iterator[Letter]:
    """The record as it came, then without its value, then without anything of its sender's: the last always fits."""
    omitted = (topics.VALUE_OMITTED, str(len(record.value or b"")).encode())
    theirs_and_ours = dead_letter_headers(record, reason, detail)
    ours = dead_letter_headers(replace(record, headers=()), reason, detail)
    # The client refuses what has neither key nor value, although others may send it.
    nothing = b"" if record.key is None else None
    yield Letter(record.key, nothing if record.value is None else record.value, theirs_and_ours)
    yield Letter(record.key, nothing, (*theirs_and_ours, omitted))
    yield Letter(None, b"", (*ours, omitted))


async def _send_largest(publisher: Publisher, topic: str, candidates: Iterator[Letter]) -> None:
    *larger, smallest = candidates
    for letter in larger:
        try:
            return await publisher.send(topic, key=letter.key, value=letter.value, headers=letter.headers)
        except MessageTooLarge:
            continue
    return await publisher.send(topic, key=smallest.key, value=smallest.value, headers=smallest.headers)


def dead_letter_headers(record: Received, reason: str, detail: str) -> Headers:
    """The record's own headers and ours. Ours of an earlier parking are replaced, so that none occurs twice."""
    ours = {
        topics.DEAD_LETTER_REASON: reason,
        topics.DEAD_LETTER_DETAIL: detail,
        topics.ORIGIN_TOPIC: record.position.topic,
        topics.ORIGIN_PARTITION: str(record.position.partition),
        topics.ORIGIN_OFFSET: str(record.position.offset),
        topics.ORIGIN_TIMESTAMP: record.timestamp.isoformat(),
    }
    theirs = tuple(header for header in record.headers if header[0] not in {*ours, topics.VALUE_OMITTED})
    return (*theirs, *((name, _clipped(value)) for name, value in ours.items()))


def _clipped(text: str) -> bytes:
    """UTF-8 of at most MAX_DETAIL_BYTES, never cut within a character."""
    return text.encode(errors="replace")[:MAX_DETAIL_BYTES].decode(errors="ignore").encode()
