"""How many deliveries an endpoint may have in our hands, so that a slow one uses its own places only. Pure but for counts."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline.state.records import Endpoint

FAST_SECONDS = 0.5
MOST_WAITING = 100
"""Deliveries of a fast endpoint that wait here for a place; a claim brings so many at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Attempts at a time."""

    endpoint: int
    host: int
    all: int


@dataclass(slots=True)
class Slots:
    """What is under way, and what waits for it. Belongs to one event loop."""

    limits: Limits
    under_way: Counter[str] = field(default_factory=Counter)
    """By endpoint."""
    by_host: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    """Claimed and not begun, by endpoint."""
    _ahead: dict[str, int] = field(default_factory=dict)
    """How many may wait: nothing for an endpoint that is not known to be fast, for they would wait in vain."""

    @property
    def total(self) -> int:
        return self.under_way.total() + self.waiting.total()

    def free(self, endpoint: Endpoint, limit: int) -> bool:
        """Whether one more attempt may begin; `limit` is what the endpoint's health allows."""
        return (
            self.under_way[endpoint.id] < min(limit, self.limits.endpoint)
            and self.by_host[endpoint.host] < self.limits.host
            and self.under_way.total() < self.limits.all
        )

    def wanted(self, endpoint_id: str, limit: int) -> int:
        """How many more deliveries of an endpoint to claim."""
        held = self.under_way[endpoint_id] + self.waiting[endpoint_id]
        return max(0, min(limit, self.limits.endpoint) + self._ahead.get(endpoint_id, 0) - held)

    def begin(self, endpoint: Endpoint) -> None:
        """One that waited is under way."""
        self.waiting[endpoint.id] -= 1
        self.under_way[endpoint.id] += 1
        self.by_host[endpoint.host] += 1

    def end(self, endpoint: Endpoint, seconds: float, *, well: bool) -> None:
        """It is over, after so long."""
        self.under_way[endpoint.id] -= 1
        self.by_host[endpoint.host] -= 1
        if not well or seconds > FAST_SECONDS:
            self._ahead.pop(endpoint.id, None)
        else:
            self._ahead[endpoint.id] = min(MOST_WAITING, 2 * self._ahead.get(endpoint.id, 0) + 1)
