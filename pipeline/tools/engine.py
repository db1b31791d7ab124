"""The engine without the path around it: decoded pictures in, enlarged ones out, as a worker computes them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.batching.batch import Batcher
from pipeline.batching.work import BatchKey, TileWork
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
from pipeline.gpu.models.specs import ModelSpec
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import target_size
from pipeline.imaging.tiling import assemble, divide
from schemas.topics import Lane

TENANT = "bench"
IN_FLIGHT = 4
"""Pictures at a time: enough that the device never waits for one to be cut or put together."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A network on a device behind a batcher, all open."""

    batcher: Batcher
    spec: ModelSpec
    pad: int
    sides: tuple[int, ...]

    async def upscale(self, pictures: Sequence[Pixels], scale: float | None = None) -> list[Pixels]:
        """(height, width, 3) each, enlarged by `scale` or else the network's own; in order. Raises `JobFailed`."""
        places = asyncio.Semaphore(IN_FLIGHT)
        return await asyncio.gather(*(self._one(picture, scale, places) for picture in pictures))

    async def _one(self, picture: Pixels, scale: float | None, places: asyncio.Semaphore) -> Pixels:
        async with places:
            tiling = divide(Raster(picture), pad=self.pad, sides=self.sides, multiple=self.spec.multiple)
            key = BatchKey(self.spec.name, tiling.plan.window_height, tiling.plan.window_width)
            tiles = await self.batcher.submit(TileWork(key, tiling.tiles, Lane.BULK, TENANT))
            native = self.spec.scale
            size = target_size(tiling.source.width, tiling.source.height, scale or native)
            return (await asyncio.to_thread(assemble, tiling, tiles, size, native_scale=native)).pixels


@asynccontextmanager
async def engine(
    spec: ModelSpec, profile: DeviceProfile, folder: Path, *, pad: int, sides: tuple[int, ...]
) -> AsyncIterator[Engine]:
    """An engine of its own for `spec`, with the weights in `folder`."""
    async with (
        DeviceLane(profile, partial(load, profile=profile, folder=folder)) as lane,
        Batcher(lane.run, lane.batch_limit, slots=profile.launches) as batcher,
    ):
        yield Engine(batcher, spec, pad, sides)
