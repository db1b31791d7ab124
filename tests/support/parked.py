"""Letters and records of the dead-letter topic, built without a broker."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.kafka.deadletter import Why, dead_letter_headers
from pipeline.kafka.parked import Letter, understood
from pipeline.kafka.scan import Record
from tests.support.requests import make_received

PARKED = datetime(2026, 5, 1, 12, tzinfo=UTC)
VALUE = orjson.dumps({"job_id": "job-7", "tenant": "acme", "source": "s3://b/k"})


def make_record(offset: int = 3, value: bytes | None = VALUE, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    """A record that lies on the dead-letter topic."""
    return Record("upscale.dead-letters", 0, offset, b"job-7", value, headers, PARKED)


def make_letter(offset: int = 3, **changes: Any) -> Letter:
    """A letter as the worker parks it."""
    parked = dead_letter_headers(make_received(topic="requests", offset=8), Why("crash_loop", "3 starts"))
    found = understood(make_record(offset, headers=parked))
    assert isinstance(found, Letter)
    return replace(found, **changes)
