"""Messages -> megapixels and seconds of work, estimated from the jobs that were completed last. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.kafka.scan import Record
from schemas import codec
from schemas.events import UpscaleCompleted


@dataclass(frozen=True, slots=True)
class Past:
    """One completed job."""

    megapixels: float
    """Of its source."""
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Experience:
    """What completed jobs teach of those to come."""

    jobs: int
    megapixels_each: float
    megapixels_per_second: float
    """By all workers together, over the time in which at least one job was in work."""

    def megapixels(self, messages: int) -> float:
        return messages * self.megapixels_each

    def seconds(self, messages: int) -> float:
        return self.megapixels(messages) / self.megapixels_per_second


def completed(records: Iterable[Record]) -> list[Past]:
    """The completed jobs among events, each once although its event may be repeated."""
    found: dict[str, Past] = {}
    for record in records:
        try:
            event = codec.decode(record.value, record.headers, origin="events")
        except (codec.UndecodableEvent, codec.InvalidRequest):
            continue
        if isinstance(event.data, UpscaleCompleted):
            done, ended = event.data, event.time or record.timestamp
            megapixels = done.source_width * done.source_height / 1e6
            found.setdefault(event.id, Past(megapixels, ended - timedelta(seconds=done.processing_seconds), ended))
    return list(found.values())


def experience(jobs: Iterable[Past]) -> Experience | None:
    """None when there is nothing to learn from."""
    known = list(jobs)
    busy = busy_seconds(known)
    if not busy:
        return None
    megapixels = sum(job.megapixels for job in known)
    return Experience(len(known), megapixels / len(known), megapixels / busy)


def busy_seconds(jobs: Iterable[Past]) -> float:
    """How long at least one of them was in work: jobs that were in work side by side count once."""
    total, until = timedelta(), None
    for job in sorted(jobs, key=lambda job: job.began):
        begins = job.began if until is None else max(job.began, until)
        total += max(timedelta(), job.ended - begins)
        until = job.ended if until is None else max(until, job.ended)
    return total.total_seconds()
