"""Many pictures at once give what each gives alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.batching.batch import Batcher
from pipeline.batching.work import BatchKey, TileWork
from pipeline.gpu.device import choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
from pipeline.gpu.models.catalog import find
from pipeline.gpu.models.specs import Precision
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.tiling import assemble, divide
from pipeline.settings import DeviceSettings
from schemas.topics import Lane
from tests.support.photographs import photograph

pytestmark = [pytest.mark.parity, pytest.mark.weights]
SPEC = find("realesr-animevideov3")
PICTURES = 50
# bf16 sums in another order for another batch size; measured, no sample moves by more than this.
STEPS: dict[Precision, int] = {"fp32": 1, "bf16": 4}


@asynccontextmanager
async def engine(precision: Precision) -> AsyncIterator[tuple[DeviceLane, Batcher]]:
    profile = choose(DeviceSettings(device="cpu", precision=precision, max_batch_tiles=8), probe())
    async with (
        DeviceLane(profile, partial(load, profile=profile, folder=Path("none"))) as lane,
        Batcher(lane.run, lane.batch_limit, slots=profile.launches) as batcher,
    ):
        yield lane, batcher


async def upscaled(lane: DeviceLane, batcher: Batcher, picture: Pixels) -> Pixels:
    tiling = divide(Raster(picture), pad=SPEC.pad, sides=lane.profile.sides)
    key = BatchKey(SPEC.name, tiling.plan.window_height, tiling.plan.window_width)
    tiles = await batcher.submit(TileWork(key, tiling.tiles, Lane.BULK, "test"))
    return assemble(tiling, tiles, (4 * picture.shape[1], 4 * picture.shape[0]), native_scale=SPEC.scale).pixels


def pictures() -> list[Pixels]:
    """Fifty different crops of photographs, of a few sizes, so that some share launches and some do not."""
    sizes = ((48, 48), (48, 64), (61, 33))
    names = ("astronaut", "chelsea", "coffee", "rocket")
    found = []
    for number in range(PICTURES):
        height, width = sizes[number % len(sizes)]
        sheet = photograph(names[number % len(names)], 128, 128)
        found.append(np.roll(sheet, (number * 7, number * 11), axis=(0, 1))[:height, :width].copy())
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
async def test_fifty_pictures_at_once_are_what_each_is_alone(precision: Precision) -> None:
    """None holds a pixel of another: in fp32 to one step of 255, in bf16 to the tolerance above."""
    async with engine(precision) as (lane, batcher):
        together = await asyncio.gather(*(upscaled(lane, batcher, picture) for picture in pictures()))
        alone = [await upscaled(lane, batcher, picture) for picture in pictures()]
    worst = max(
        int(np.abs(one.astype(int) - other.astype(int)).max()) for one, other in zip(together, alone, strict=True)
    )
    assert worst <= STEPS[precision]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 53), (300, 70)])
async def test_tiled_and_batched_is_our_own_untiled(size: tuple[int, int]) -> None:
    """The device's windows with the model's own context against one window for the whole picture, in fp32.

    The context is all that the network sees, so inside nothing differs. A picture smaller than a window is extended
    by reflection where untiled it ends in zeros, which only its borders see; those of the smallest are all border.
    """
    picture = np.resize(photograph("chelsea", 128, 128), (*size, 3))
    async with engine("fp32") as (lane, batcher):
        tiled = await upscaled(lane, batcher, picture)
        whole_key = BatchKey(SPEC.name, *size)
        [whole] = await batcher.submit(TileWork(whole_key, (picture,), Lane.BULK, "test"))
    inner = tuple(slice(SPEC.pad * 4, -SPEC.pad * 4) if side > 2 * SPEC.pad else slice(0) for side in size)
    assert tiled.shape == whole.shape
    assert int(np.abs(tiled[inner].astype(int) - whole[inner].astype(int)).max(initial=0)) <= 1
