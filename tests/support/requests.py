"""Records as intake gets them, built without a broker."""

from datetime import UTC, datetime

from pipeline.kafka.records import Position, Received
from schemas.topics import Lane

APPENDED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_received(
    *,
    topic: str = "upscale.requests.interactive",
    partition: int = 0,
    offset: int = 0,
    epoch: int = 1,
    lane: Lane = Lane.INTERACTIVE,
    key: bytes | None = b"job-1",
    value: bytes | None = b"{}",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Received:
    return Received(Position(topic, partition, offset, epoch), lane, key, value, headers, APPENDED)
