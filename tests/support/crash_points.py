"""Where a worker under test kills itself, as if the machine had: no handler runs, nothing is flushed."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Self


class CrashPoint(StrEnum):
    """Named for what has just happened."""

    LAUNCH = "launch"
    """Half of a launch is computed."""
    STORED = "stored"
    """The result of a job lies in the store; its end is not written down."""
    ENDED = "ended"
    """The end of a job is written down for good; nobody has been told."""
    ACKNOWLEDGED = "acknowledged"
    """The broker has the terminal event; the record's offset is not committed."""
    HANDED_ON = "handed_on"
    """The worker believes that a record lies on a retry topic."""
    PARKED = "parked"
    """The worker believes that a record lies among the dead letters."""


def kill_nine() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class Crash:
    """Counts how often its point is reached, by any thread, and dies at the `times`-th."""

    point: CrashPoint
    times: int
    die: Callable[[], None] = kill_nine
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`POINT:TIMES`, as a command line has it. Raises `ValueError`."""
        point, _, times = text.partition(":")
        return cls(CrashPoint(point), int(times))

    def __str__(self) -> str:
        return f"{self.point}:{self.times}"

    def reached(self, point: CrashPoint) -> None:
        with self._lock:
            self.times -= point is self.point
            dies = point is self.point and self.times == 0
        if dies:
            self.die()
