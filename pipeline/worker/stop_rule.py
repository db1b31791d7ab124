"""When to stop consuming: a bad release should meet a backlog, not fill the dead-letter topic. Pure."""

from collections import deque

MOST_IN_A_ROW = 20
WINDOW = 1000
MOST_OF_WINDOW = 50
"""A twentieth."""


class StopRule:
    """Counts jobs that ended parked through our own fault among all that ended."""

    def __init__(self) -> None:
        self._row = 0
        self._window: deque[bool] = deque(maxlen=WINDOW)

    def ended(self, *, parked: bool) -> str | None:
        """Take note of one job; the reason to stop now, if there is one."""
        self._row = self._row + 1 if parked else 0
        self._window.append(parked)
        if self._row > MOST_IN_A_ROW:
            return f"jobs parked in a row: limit {MOST_IN_A_ROW}, got {self._row}"
        if (among := sum(self._window)) > MOST_OF_WINDOW:
            return f"jobs parked among the last {WINDOW}: limit {MOST_OF_WINDOW}, got {among}"
        return None
