"""The batcher in front of a simulated device, in virtual time: how long pictures wait under each policy.

A launch of n tiles takes s0 + n * s1 with s0 = 0.7 ms and s1 = 4.98 ms: RRDBNet x4plus on windows of 288 pixels at
60 ms a megapixel. Virtual time makes the figures the same on every machine; `-s` shows the tables.
"""

import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from pipeline.batching.batch import Batcher
from pipeline.batching.policy import Policy
from schemas.topics import Lane
from tests.support.clock import run_virtual
from tests.support.device import FakeDevice, make_work

pytestmark = pytest.mark.benchmark

S0, S1 = 0.0007, 0.00498
SECONDS = 120.0
FIFO = Policy(aging_tiles_per_second=1e9)
"""With one class and one tenant, age alone decides."""


@dataclass(slots=True)
class Waits:
    """What one run showed."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    """Waits by the number of tiles of the picture."""
    bulk_tiles: int = 0

    def add(self, tiles: int, waited: float) -> None:
        self.seconds.setdefault(tiles, []).append(waited)

    def of(self, *tiles: int) -> list[float]:
        return sorted(waited for each in tiles or self.seconds for waited in self.seconds.get(each, []))


def quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def arrivals(batcher: Batcher, waits: Waits, rate: float, sizes: Sequence[int]) -> None:
    """Pictures that come at random, `rate` a second, whether or not the last one is done."""
    chance = random.Random(7)
    loop = asyncio.get_running_loop()

    async def visit(number: int, tiles: int) -> None:
        arrived = loop.time()
        await batcher.submit(make_work(number % 65_536, tiles))
        waits.add(tiles, loop.time() - arrived)

    async with asyncio.TaskGroup() as visits:
        number = 0
        while loop.time() < SECONDS:
            await asyncio.sleep(chance.expovariate(rate))
            visits.create_task(visit(number, chance.choice(sizes)))
            number += 1


async def backlog(batcher: Batcher, waits: Waits, lane: Lane) -> None:
    """Thirty-two bulk callers with a picture of 64 tiles each, over and over."""
    loop = asyncio.get_running_loop()

    async def caller(number: int) -> None:
        while loop.time() < SECONDS:
            tiles = await batcher.submit(make_work(number, 64, lane=lane))
            waits.bulk_tiles += len(tiles) if loop.time() < SECONDS else 0

    async with asyncio.TaskGroup() as callers:
        for number in range(32):
            callers.create_task(caller(number))


async def interactive_over_bulk(device: FakeDevice, limit: int, policy: Policy, bulk: Lane) -> Waits:
    """Four pictures of 16 tiles a second, a third of the device, over an endless backlog."""
    waits = Waits()
    now = asyncio.get_running_loop().time
    async with Batcher(device.run, lambda _: limit, policy=policy, now=now) as batcher, asyncio.TaskGroup() as sides:
        sides.create_task(arrivals(batcher, waits, 4, [16]))
        sides.create_task(backlog(batcher, waits, bulk))
    return waits


async def mixed_sizes(load: float, policy: Policy) -> Waits:
    """Pictures of 1, 4, 16 and 64 tiles in equal numbers; `load` is the part of the device they need."""
    waits, sizes, limit = Waits(), [1, 4, 16, 64], 8
    capacity = limit / (S0 + limit * S1)
    now = asyncio.get_running_loop().time
    async with Batcher(FakeDevice(S0, S1).run, lambda _: limit, policy=policy, now=now) as batcher:
        await arrivals(batcher, waits, load * capacity * len(sizes) / sum(sizes), sizes)
    return waits


def show(title: str, head: str, rows: Mapping[str, Sequence[str]]) -> None:
    sys.stdout.write(f"\n{title}\n{'':38}{head}\n")
    for name, cells in rows.items():
        sys.stdout.write(f"{name:38}{'  '.join(f'{cell:>8}' for cell in cells)}\n")


def test_priority_keeps_interactive_pictures_fast_over_an_endless_backlog() -> None:
    """Classes cut the median wait by more than fifty against first come, first served, for under a tenth of bulk."""

    def run(device: FakeDevice, limit: int, policy: Policy, bulk: Lane) -> Waits:
        return run_virtual(interactive_over_bulk(device, limit, policy, bulk))

    runs = {
        "1 tile a launch, 6 ms overhead, FIFO": run(FakeDevice(0.006, S1), 1, FIFO, Lane.INTERACTIVE),
        "up to 4 tiles, FIFO": run(FakeDevice(S0, S1), 4, FIFO, Lane.INTERACTIVE),
        **{
            f"up to {limit} tiles, classes": run(FakeDevice(S0, S1), limit, Policy(), Lane.BULK)
            for limit in (2, 4, 8, 16)
        },
    }
    base = runs["up to 4 tiles, classes"]
    median = quantile(base.of(16), 0.5)
    show(
        f"16-tile pictures over a bulk backlog, in medians of 'up to 4 tiles, classes' ({median * 1000:.0f} ms)",
        "     p50       p95       p99   bulk tiles/s",
        {
            name: [
                *(f"{quantile(waits.of(16), part) / median:.2f}" for part in (0.5, 0.95, 0.99)),
                f"{waits.bulk_tiles / SECONDS:.0f}",
            ]
            for name, waits in runs.items()
        },
    )
    fifo = runs["up to 4 tiles, FIFO"]
    assert quantile(fifo.of(16), 0.5) > 50 * median
    assert base.bulk_tiles > 0.9 * fifo.bulk_tiles


@pytest.mark.parametrize("load", [0.8, 0.95])
def test_fewest_tiles_first_keeps_small_pictures_fast_under_load(load: float) -> None:
    """Small pictures stop waiting for large ones, and the mean falls."""
    simulate = partial(mixed_sizes, load)
    fifo, ours = run_virtual(simulate(FIFO)), run_virtual(simulate(Policy()))
    rows = {
        name: [
            f"{quantile(waits.of(1, 4), 0.99) * 1000:.0f}",
            f"{quantile(waits.of(64), 0.99) * 1000:.0f}",
            f"{1000 * sum(waits.of()) / len(waits.of()):.0f}",
        ]
        for name, waits in (("FIFO", fifo), ("fewest tiles first, aged", ours))
    }
    show(f"all sizes at {load:.0%} load, ms", "small p99  large p99   mean", rows)
    assert quantile(ours.of(1, 4), 0.99) < quantile(fifo.of(1, 4), 0.99) / 5
    assert sum(ours.of()) < sum(fifo.of())
