"""What /live asks beside the event loop: the poll loop of the group must not stand still."""

from collections.abc import Callable
from typing import Protocol

STALLED_SECONDS = 60.0
"""Polling pauses for a rebalance, which ends within the rebalance timeout of 20 s; longer than this is a stall."""


class Polled(Protocol):
    """Something that polls."""

    @property
    def last_poll(self) -> float | None:
        """When it last did, on the clock of `polling`; None before it began to."""


def polling(consumer: Polled, now: Callable[[], float]) -> Callable[[], str | None]:
    """A check for /live. The client's own watchdog is not trusted: one aborted poll switches it off.

    Joining the group has a limit of its own, and may wait longer than this for a broker that is away.
    """

    def check() -> str | None:
        if consumer.last_poll is None:
            return None
        silence = now() - consumer.last_poll
        return f"last poll: limit {STALLED_SECONDS:g} s, {silence:.0f} s ago" if silence > STALLED_SECONDS else None

    return check
