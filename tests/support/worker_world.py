"""The world that a worker under test lives in: its clock, the pace of its retries, its memory. Nothing is undone."""

import datetime as clock
import os
import resource
import sys
from pathlib import Path
from time import monotonic

from pipeline.kafka.consume import Consumer
from pipeline.kafka.records import Received
from schemas.topics import TIERS
from tests.support.history import Holding
from tests.support.recorder import Recorder


def hurry_retries(divisor: int) -> None:
    """Shorten the delays of all retry topics, as the suite shortens the timeouts. The topics keep their names."""
    for tier in TIERS:
        # In place, because every room has the tiers by their own name.
        object.__setattr__(tier, "delay_seconds", tier.delay_seconds // divisor)


def move_clock(seconds: float) -> None:
    """Set the wall clock of this process ahead, or back, for all that takes the time from `datetime`."""
    ahead = clock.timedelta(seconds=seconds)
    true = clock.datetime

    class Moved(true):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: clock.tzinfo | None = None) -> clock.datetime:
            return true.now(tz) + ahead

        @classmethod
        def utcnow(cls) -> clock.datetime:
            return true.now(clock.UTC).replace(tzinfo=None) + ahead

    clock.datetime = Moved  # type: ignore[misc]
    for name, module in list(sys.modules.items()):
        if name.startswith(("pipeline.", "botocore.")) and getattr(module, "datetime", None) is true:
            module.datetime = Moved  # type: ignore[attr-defined]


def limit_memory(more_bytes: int) -> None:
    """Bound the address space to what it is now and so much more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def count_held_records(recorder: Recorder) -> None:
    """Write down each time that a consumer of this process has more unfinished records than ever before."""
    deliver = Consumer._deliver
    most: dict[int, int] = {}

    def counted(self: Consumer, record: Received) -> None:
        deliver(self, record)
        # By what waits for a place: records that are worked on have places, which are counted elsewhere.
        waiting = sum(len(handoff._records) for handoff in self._handoffs.values())
        if waiting > most.get(id(self), 0):
            most[id(self)] = waiting
            recorder.write(Holding(at=monotonic(), worker=os.getpid(), records=waiting))

    Consumer._deliver = counted  # type: ignore[method-assign]
