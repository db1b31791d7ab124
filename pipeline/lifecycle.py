"""Start, ready, drain against a deadline, close: the states of a process, and the signals that move it."""

from enum import StrEnum


class State(StrEnum):
    """What a process is doing, as /ready reports it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
