"""How many attempts are made at a time: at each endpoint, at each host, and in all. One event loop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipeline.state.records import Endpoint


@dataclass(slots=True)
class Held:
    """Deliveries that are claimed, by whether they are attempted or wait for a place."""

    endpoints: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.endpoints.total()

    def add(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.id] += 1
        self.hosts[endpoint.host] += 1

    def remove(self, endpoint: Endpoint) -> None:
        """What is at zero is forgotten: there is no end of hosts."""
        for counts, key in ((self.endpoints, endpoint.id), (self.hosts, endpoint.host)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]


class Places:
    """Lets so many attempts go on at a time; the others wait in their order, and none for another endpoint's."""

    def __init__(self, *, endpoint: int, host: int, total: int) -> None:
        self._endpoint = endpoint
        self._host = host
        self._all = asyncio.Semaphore(total)
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._wanted: Counter[str] = Counter()

    @asynccontextmanager
    async def one(self, endpoint: Endpoint) -> AsyncIterator[None]:
        """A place for one attempt while the block runs."""
        async with (
            self._gate(f"endpoint {endpoint.id}", self._endpoint),
            self._gate(f"host {endpoint.host}", self._host),
            self._all,
        ):
            yield

    @asynccontextmanager
    async def _gate(self, key: str, size: int) -> AsyncIterator[None]:
        self._wanted[key] += 1
        try:
            async with self._gates.setdefault(key, asyncio.Semaphore(size)):
                yield
        finally:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                del self._wanted[key], self._gates[key]
