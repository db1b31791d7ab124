"""One row of the fault suite as it is played: workers, requests that keep coming, and what breaks meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count, cycle
from pathlib import Path
from typing import Any

from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from schemas.events import UpscaleRequested
from schemas.topics import Lane
from tests.support.deployment_local import request
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import FakeWorker
from tests.support.fault_run import FaultRun, fault_run, picture
from tests.support.fault_site import PACE, Site, plot
from tests.support.history import Expected
from tests.support.mutations import Mutation
from tests.support.nurslings import Nursling

LAW = LatencyLaw(setup_seconds=0.3, seconds_per_megapixel=2.0)
"""A launch takes so long that a worker always has some jobs in hand."""
SIDES = (12, 16, 24, 32, 48)
TENANTS = ("acme", "zeta")
LANES = tuple(Lane)


@dataclass(frozen=True, slots=True)
class Source:
    """An uploaded picture and what becomes of it."""

    tenant: str
    name: str
    expected: Expected


@dataclass(slots=True)
class Scene:
    """Made by `scene`."""

    site: Site
    run: FaultRun
    settings: Settings
    """Of workers: straight to the brokers, and to the store through its line."""
    how: FakeWorker
    chance: random.Random
    """Draws which worker, which broker and when."""
    sources: list[Source]
    workers: list[Nursling] = field(default_factory=list)
    """Every worker there was, oldest first."""

    @property
    def lined(self) -> Settings:
        """Of workers that come to the brokers through the lines."""
        kafka = self.settings.kafka.model_copy(update={"servers": self.site.lined_servers})
        return self.settings.model_copy(update={"kafka": kafka})

    async def start(
        self, workers: int = 1, settings: Settings | None = None, *, log: Path | None = None, **told: Any
    ) -> list[Nursling]:
        """Workers that take requests; `told` is how they differ from `how`, and `log` where they log."""
        how = replace(self.how, **told)
        born = [await self.site.nursery.bear(settings or self.settings, how, log) for _ in range(workers)]
        self.workers += born
        await asyncio.gather(*(each.ready() for each in born))
        return born

    async def ask(self, source: Source, /, lane: Lane = Lane.BULK, **changes: object) -> UpscaleRequested:
        """Make a request for a picture."""
        asked = request(source.name, tenant=source.tenant).model_copy(update=changes)
        await self.run.ask(asked, source.expected, lane)
        return asked

    async def burst(self, jobs: int) -> None:
        """So many requests at once."""
        sources, lanes = cycle(self.sources), cycle(LANES)
        await asyncio.gather(*(self.ask(next(sources), next(lanes)) for _ in range(jobs)))

    @asynccontextmanager
    async def load(self, per_second: float) -> AsyncIterator[None]:
        """Requests come at this rate, whatever becomes of those before: nobody waits for an answer to ask again."""
        asking: set[asyncio.Task[UpscaleRequested]] = set()

        async def ask() -> None:
            for number in count():
                source, lane = self.sources[number % len(self.sources)], LANES[number % len(LANES)]
                asking.add(asyncio.create_task(self.ask(source, lane)))
                await asyncio.sleep(1 / per_second)

        coming = asyncio.create_task(ask())
        try:
            yield
        finally:
            coming.cancel()
            await asyncio.gather(coming, *asking, return_exceptions=True)


@asynccontextmanager
async def scene(place: Site, folder: Path, *, seed: int, mutation: Mutation | None = None) -> AsyncIterator[Scene]:
    """A scene without workers. Those that are left at its end are killed."""
    await place.heal()
    place.store_line.writes.clear()
    async with plot(place) as direct, fault_run(folder, direct) as run:
        how = FakeWorker(run.journal, LAW, mutation=mutation, hurry=PACE)
        through = direct.store.model_copy(update={"endpoint": place.store_line.url})
        sources = [await uploaded(run, tenant, side) for tenant in TENANTS for side in SIDES]
        settings = direct.model_copy(update={"store": through})
        played = Scene(place, run, settings, how, random.Random(seed), sources)
        try:
            yield played
        finally:
            await asyncio.gather(*(worker.kill() for worker in played.workers))
            with suppress(Exception):
                await place.heal()


async def uploaded(run: FaultRun, tenant: str, side: int) -> Source:
    content, expected = picture(side, side)
    return Source(tenant, await upload(run.session.store, tenant, content), expected)
