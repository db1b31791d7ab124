"""Shares: how many megapixels each tenant was given in each class, so that the next choice can be fair."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from pipeline.batching.policy import Account
from schemas.topics import Lane


class Shares:
    """Counters that live as long as they can matter.

    Each class has a fair level: what a tenant would have by now that was always here and served evenly. Who arrives
    starts there, or at its own counter if it left with more, so time away earns nothing. (Starting at the least served
    who is here would do the same for a fixed set of tenants, but an endless row of newcomers, each served once, would
    hold that minimum down and starve whoever was served before.)
    """

    def __init__(self) -> None:
        self._served: dict[Account, float] = {}
        self._level: dict[Lane, float] = dict.fromkeys(Lane, 0.0)
        self._works: dict[Lane, Counter[str]] = {lane: Counter() for lane in Lane}

    @property
    def served(self) -> Mapping[Account, float]:
        """Megapixels by account; accounts that were never here are missing."""
        return MappingProxyType(self._served)

    def arrive(self, account: Account) -> None:
        """The account has one more work here."""
        lane, tenant = account
        if tenant not in self._works[lane]:
            self._served[account] = max(self._served.get(account, 0.0), self._level[lane])
        self._works[lane][tenant] += 1

    def charge(self, account: Account, megapixels: float) -> None:
        """The account, which has work here, was given tiles of so many megapixels."""
        lane, _ = account
        self._served[account] += megapixels
        self._level[lane] += megapixels / len(self._works[lane])

    def leave(self, account: Account) -> None:
        """The account has one work less here."""
        lane, tenant = account
        self._works[lane][tenant] -= 1
        if not self._works[lane][tenant]:
            del self._works[lane][tenant]
            self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        """Drop the counters of the absent that a return would lift anyway; all, when nobody is here to compare with."""
        nobody_here = not self._works[lane]
        absent = [account for account in self._served if account[0] is lane and account[1] not in self._works[lane]]
        for account in absent:
            if nobody_here or self._served[account] <= self._level[lane]:
                del self._served[account]
        if nobody_here:
            self._level[lane] = 0.0
