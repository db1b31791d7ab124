"""Budget: how much of one resource all jobs together may hold, given out first come, first served."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Held:
    """What one job holds of a budget."""

    def __init__(self, amount: int, give_back: Callable[[int], None]) -> None:
        self.amount = amount
        self._give_back = give_back

    def shrink(self, amount: int) -> None:
        """Give back all but `amount`. Never waits, so a job that holds something cannot block on more of it."""
        self._give_back(max(0, self.amount - amount))
        self.amount = min(self.amount, amount)


class Budget:
    """`limit` of something. A job that wants more than all of it gets it when nobody else holds any.

    `observe` is told the amount in use after each change.
    """

    def __init__(self, limit: int, observe: Callable[[int], None]) -> None:
        self._limit = limit
        self._observe = observe
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[Held]:
        """Wait for `amount`, in turn, and hold it for the block."""
        await self._take(amount)
        held = Held(amount, self._give_back)
        try:
            yield held
        finally:
            held.shrink(0)

    async def _take(self, amount: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:
                self._give_back(amount)
            raise

    def _give_back(self, amount: int) -> None:
        self._used -= amount
        self._admit()

    def _admit(self) -> None:
        """Strictly in turn: a large picture is not starved by the small ones behind it."""
        while self._waiting:
            amount, turn = self._waiting[0]
            if not turn.cancelled():
                if self._used and self._used + amount > self._limit:
                    break
                self._used += amount
                turn.set_result(None)
            self._waiting.popleft()
        self._observe(self._used)
