"""Budget: how much of one resource all jobs together may hold, and each tenant, given out first come, first served."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


class Held:
    """What one job holds of a budget."""

    def __init__(self, amount: int, give_back: Callable[[int], None]) -> None:
        self.amount = amount
        self._give_back = give_back

    def shrink(self, amount: int) -> None:
        """Give back all but `amount`. Never waits, so a job that holds something cannot block on more of it."""
        self._give_back(max(0, self.amount - amount))
        self.amount = min(self.amount, amount)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    amount: int
    tenant: str
    turn: "asyncio.Future[None]"


class Budget:
    """`limit` of something. A job that wants more than all of it gets it when nobody else holds any.

    While others wait, a tenant that holds something is given no more than `tenant_share` of the limit; whoever waits
    alone, or among such tenants only, may have all of it. `observe` is told the amount in use after each change.
    """

    def __init__(self, limit: int, observe: Callable[[int], None], *, tenant_share: float = 1.0) -> None:
        self._limit = limit
        self._observe = observe
        self._most = limit * tenant_share
        self._used: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()

    @asynccontextmanager
    async def hold(self, amount: int, tenant: str) -> AsyncIterator[Held]:
        """Wait for `amount`, in turn, and hold it for the block."""
        await self._take(amount, tenant)
        held = Held(amount, lambda given: self._give_back(given, tenant))
        try:
            yield held
        finally:
            held.shrink(0)

    async def _take(self, amount: int, tenant: str) -> None:
        waiting = _Waiting(amount, tenant, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._admit()
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.cancelled():
                self._waiting.remove(waiting)
                self._admit()
            else:
                self._give_back(amount, tenant)
            raise

    def _give_back(self, amount: int, tenant: str) -> None:
        self._used[tenant] -= amount
        if not self._used[tenant]:
            del self._used[tenant]
        self._admit()

    def _admit(self) -> None:
        """Strictly in turn: a large picture is not starved by the small ones behind it."""
        while (following := self._following()) and self._fits(following):
            self._used[following.tenant] += following.amount
            following.turn.set_result(None)
            self._waiting.remove(following)
        self._observe(self._used.total())

    def _fits(self, waiting: _Waiting) -> bool:
        used = self._used.total()
        return not used or used + waiting.amount <= self._limit

    def _following(self) -> _Waiting | None:
        """The first that keeps within its tenant's share, or the first of all when none does.

        Only a tenant's first is looked at: were its small ones let in before a large one, that would wait for ever.
        """
        first: dict[str, _Waiting] = {}
        for waiting in self._waiting:
            if not waiting.turn.cancelled():
                first.setdefault(waiting.tenant, waiting)
        within = (waiting for waiting in first.values() if self._within_share(waiting))
        return next(within, None) or next(iter(first.values()), None)

    def _within_share(self, waiting: _Waiting) -> bool:
        used = self._used[waiting.tenant]
        return not used or used + waiting.amount <= self._most
