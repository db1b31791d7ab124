"""A device without a network: launches take virtual time, and every tile can be recognised."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.batching.work import BatchKey, TileBatch, TilePixels, TileWork
from schemas.topics import Lane

SMALL = BatchKey("general", 1, 2)
LARGE = BatchKey("general", 2, 2)


def make_work(
    number: int,
    tiles: int,
    *,
    key: BatchKey = SMALL,
    lane: Lane = Lane.INTERACTIVE,
    tenant: str = "acme",
    deadline: float | None = None,
) -> TileWork:
    """A work whose tiles carry its number in red and their index in green."""
    return TileWork(key, tuple(_marked(number, index, key) for index in range(tiles)), lane, tenant, deadline)


def mark(tile: TilePixels) -> tuple[int, int]:
    """The number of the work and the index of the tile."""
    return int(tile[0, 0, 0]), int(tile[0, 0, 1])


def upscale(tile: TilePixels) -> TilePixels:
    """Twice the size, the mark kept."""
    return tile.repeat(2, axis=0).repeat(2, axis=1)


def _marked(number: int, index: int, key: BatchKey) -> TilePixels:
    return np.broadcast_to(np.array([number, index, 0], dtype=np.uint16), (key.height, key.width, 3))


@dataclass(frozen=True, slots=True)
class Launched:
    """What the device saw."""

    at: float
    batch: TileBatch

    @property
    def marks(self) -> list[tuple[int, int]]:
        return [mark(tile) for tile in self.batch.tiles]


@dataclass(slots=True)
class FakeDevice:
    """Records launches. A launch of n tiles takes `setup_seconds + n * tile_seconds`."""

    setup_seconds: float = 1.0
    tile_seconds: float = 0.0
    answer: Callable[[int, TileBatch], Sequence[TilePixels]] | None = None
    """Called with the launch's number in place of upscaling; may raise."""
    launches: list[Launched] = field(default_factory=list)
    running: int = 0

    async def run(self, batch: TileBatch) -> Sequence[TilePixels]:
        number = len(self.launches)
        self.launches.append(Launched(asyncio.get_running_loop().time(), batch))
        self.running += 1
        try:
            await asyncio.sleep(self.setup_seconds + len(batch.tiles) * self.tile_seconds)
        finally:
            self.running -= 1
        return self.answer(number, batch) if self.answer else [upscale(tile) for tile in batch.tiles]

    @property
    def marks(self) -> list[list[tuple[int, int]]]:
        return [launch.marks for launch in self.launches]
