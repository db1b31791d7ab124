"""Which tiles go next: a pure function of classes, tenants, remaining work and ages.

Nothing is ever held back: while any tile waits there is a next launch. The class decides first, interactive before
bulk, except when bulk is owed its share. Inside a class the tenant served least comes first (fair queueing by served
cost, after arXiv 2401.00588), inside a tenant the work with the fewest tiles left, less what its age earns it. The
first work decides the key; slots that remain are filled with any other tiles of that key.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from math import inf

from pipeline.batching.work import BatchKey
from schemas.topics import Lane

Account = tuple[Lane, str]
"""A tenant inside a class."""
Urgency = tuple[int, float, int]
"""Less comes first; unique."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What can be weighed. A rule with another shape is another `choose`."""

    bulk_share: float = 0.1
    """Least part of the launched tiles that bulk gets over time while it waits; 0 up to, not including, 1."""
    bulk_ahead_launches: int = 8
    """How many full launches beyond its share are held against bulk: a burst of interactive tiles that is shorter than
    these, divided by the share, is not slowed down at all; after it bulk gets its share."""
    aging_tiles_per_second: float = 1.0
    """A work of n tiles goes before its tenant's newest after waiting about n seconds; 0 lets it starve."""
    urgent_seconds: float = 5.0
    """A work this near to its deadline goes before its tenant's others."""

    def __post_init__(self) -> None:
        if not 0 <= self.bulk_share < 1:
            raise ValueError(f"bulk_share: must be at least 0 and below 1, got {self.bulk_share}")
        for name in ("bulk_ahead_launches", "aging_tiles_per_second", "urgent_seconds"):
            value = getattr(self, name)
            if not 0 <= value < inf:
                raise ValueError(f"{name}: must be at least 0 and finite, got {value}")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One work with tiles that were not launched yet."""

    ticket: int
    """Counts arrivals; unique."""
    key: BatchKey
    lane: Lane
    tenant: str
    remaining: int
    """Tiles not launched yet, at least 1."""
    arrived: float
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """All that a choice depends on."""

    waiting: tuple[Waiting, ...]
    served: Mapping[Account, float]
    """Megapixels given so far to each account that waits."""
    bulk_credit: float
    """Tiles that bulk is owed, or was given ahead when negative: the `bulk_credit` of the last launch, at first 0."""
    limits: Mapping[BatchKey, int]
    """Most tiles of one launch, at least 1, for each key that waits."""
    now: float


@dataclass(frozen=True, slots=True)
class Launch:
    """The next launch: so many tiles of each of these works."""

    key: BatchKey
    tiles: Mapping[int, int]
    """Tiles by ticket, each at least 1, in the order of the batch."""
    bulk_credit: float


def megapixels(key: BatchKey) -> float:
    """What one tile costs."""
    return key.height * key.width / 1e6


def choose(view: View, policy: Policy) -> Launch | None:
    """The next launch, or None when nothing waits. O(n log n) in the works that wait."""
    lanes = {lane: _ranked(view, policy, lane) for lane in Lane}
    leaders = {lane: min(ranked)[2] for lane, ranked in lanes.items() if ranked}
    turns = list(_turns(leaders.keys(), view.bulk_credit))
    if not turns:
        return None
    draft = _Draft(view, leaders[turns[0][0]].key)
    for lane, most in turns:
        draft.fill(lanes[lane], most)
    return Launch(draft.key, draft.tiles, _credit(view, policy, leaders, draft))


_Ranked = tuple[float, Urgency, Waiting]


def _ranked(view: View, policy: Policy, lane: Lane) -> list[_Ranked]:
    return [
        (view.served.get((lane, work.tenant), 0.0), _urgency(work, policy, view.now), work)
        for work in view.waiting
        if work.lane is lane
    ]


def _urgency(work: Waiting, policy: Policy, now: float) -> Urgency:
    if work.deadline is not None and work.deadline - now <= policy.urgent_seconds:
        return 0, work.deadline, work.ticket
    # In place of `remaining - aging * (now - arrived)`: the same order, since now is the same for all.
    return 1, work.remaining + policy.aging_tiles_per_second * work.arrived, work.ticket


def _turns(lanes: Iterable[Lane], bulk_credit: float) -> Iterator[tuple[Lane, int | None]]:
    """Who fills the batch, in order, and how many slots at most. The first one decides the key."""
    waiting = set(lanes)
    if waiting == set(Lane) and bulk_credit >= 1:
        yield Lane.BULK, int(bulk_credit)
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        if lane in waiting:
            yield lane, None


def _credit(view: View, policy: Policy, leaders: Mapping[Lane, Waiting], draft: "_Draft") -> float:
    """What bulk is owed after the launch. Changes only while bulk waits."""
    if Lane.BULK not in leaders:
        return view.bulk_credit
    # Tiles that fill up a launch pay only when bulk's own order asked for that key: else one key could be served for
    # ever at the cost of another.
    paid = draft.bulk() if leaders[Lane.BULK].key == draft.key else 0
    credit = view.bulk_credit + policy.bulk_share * sum(draft.tiles.values()) - paid
    largest = max(view.limits.values())
    # Up to a tile is owed before any is paid, and a launch adds to that: a lower bound would cut the share.
    return min(largest + 1, max(-policy.bulk_ahead_launches * largest, credit))


@dataclass(slots=True)
class _Draft:
    """A launch being filled."""

    view: View
    key: BatchKey
    tiles: dict[int, int] = field(default_factory=dict)
    given: dict[Account, int] = field(default_factory=dict)

    def bulk(self) -> int:
        return sum(tiles for (lane, _), tiles in self.given.items() if lane is Lane.BULK)

    def fill(self, ranked: Iterable[_Ranked], most: int | None) -> None:
        """Give free slots, at most `most`, tile by tile to whoever is served least by then."""
        free = self.view.limits[self.key] - sum(self.tiles.values())
        slots = free if most is None else min(free, most)
        tenants = self._tenants(ranked) if slots else []
        while slots and tenants:
            _, _, works = tenants[0]
            work = works[0][2]
            self._take(work)
            slots -= 1
            if self._left(work) == 0:
                works.popleft()
            if works:
                heapreplace(tenants, self._place(works))
            else:
                heappop(tenants)

    def _take(self, work: Waiting) -> None:
        account = work.lane, work.tenant
        self.tiles[work.ticket] = self.tiles.get(work.ticket, 0) + 1
        self.given[account] = self.given.get(account, 0) + 1

    def _left(self, work: Waiting) -> int:
        return work.remaining - self.tiles.get(work.ticket, 0)

    def _tenants(self, ranked: Iterable[_Ranked]) -> list[tuple[float, Urgency, deque[_Ranked]]]:
        """A heap of the tenants that have tiles of the key, each with its works, most urgent first."""
        works: dict[str, deque[_Ranked]] = {}
        for entry in sorted(entry for entry in ranked if entry[2].key == self.key and self._left(entry[2])):
            works.setdefault(entry[2].tenant, deque()).append(entry)
        heap = [self._place(queue) for queue in works.values()]
        heapify(heap)
        return heap

    def _place(self, works: deque[_Ranked]) -> tuple[float, Urgency, deque[_Ranked]]:
        served, urgency, work = works[0]
        return served + self.given.get((work.lane, work.tenant), 0) * megapixels(self.key), urgency, works
