"""What other rooms may know of Kafka: types only."""

from dataclasses import dataclass
from datetime import datetime

from schemas.topics import Lane


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies, and under which assignment it was handed out."""

    topic: str
    partition: int
    offset: int
    epoch: int
    """Counts assignments of this consumer; a position of an older epoch is never committed."""

    @property
    def origin(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Received:
    """One record as it came, not yet understood."""

    position: Position
    lane: Lane
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: datetime
    """When it was appended, UTC."""
