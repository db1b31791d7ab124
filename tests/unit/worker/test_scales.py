"""A whole job with a real network at every kind of scale: the result has the size and the pixels it should."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.batching.batch import Batcher
from pipeline.gpu.infer import infer
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
from pipeline.imaging.decode import Decoded
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import resize
from pipeline.settings import ImageSettings
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.rooms import Rooms
from pipeline.worker.steps import do
from tests.support.networks import NAME, cpu_profile
from tests.support.photographs import photograph
from tests.support.rooms import BEGUN, ScriptedRooms, make_job

pytestmark = pytest.mark.weights

HEIGHT, WIDTH = 44, 48
PROFILE = replace(cpu_profile(), sides=(42, 96))
"""Both passes are cut into several windows that fit without being extended: tiled, the network is then exact."""


class OneDecoder:
    """Gives the same photograph whatever it is asked."""

    async def decode(self, data: bytes, *, keep_exif: bool) -> Decoded:
        return Decoded(Raster(photograph("coffee", HEIGHT, WIDTH)), ())


@asynccontextmanager
async def real_network(scene: ScriptedRooms) -> AsyncIterator[Rooms]:
    """The scripted rooms, with the real device and a photograph in them."""
    async with (
        scene.open(limits=ImageSettings()) as rooms,
        DeviceLane(PROFILE, partial(load, profile=PROFILE, folder=Path("none"))) as lane,
        Batcher(lane.run, lane.batch_limit) as batcher,
    ):
        yield replace(rooms, lane=lane, batcher=batcher, decoders=cast("DecoderPool", OneDecoder()))


def passed(picture: Pixels, times: int) -> Pixels:
    """What the network makes of the whole picture, `times` over."""
    model = load(NAME, PROFILE, Path("none"))
    with torch.inference_mode():
        for _ in range(times):
            picture = infer(model, [picture], "cpu")[0]
    return picture


@pytest.mark.parametrize(
    ("asked", "size", "times"),
    [
        ({"scale": 8}, (384, 352), 1),
        ({"scale": 8, "beyond_native": "repeat"}, (384, 352), 2),
        ({"scale": 4}, (192, 176), 1),
        ({"scale": 1}, (48, 44), 1),
        ({"scale": 0.3}, (14, 13), 1),
        ({"width": 33}, (33, 30), 1),
        ({"width": 100, "height": 21}, (23, 21), 1),
        ({"height": 220, "beyond_native": "repeat"}, (240, 220), 2),
    ],
)
async def test_job_gives_the_networks_own_answer_at_the_size_asked_for(
    asked: dict[str, object], size: tuple[int, int], times: int
) -> None:
    """Tiled and batched, it is what passes over the whole picture and one resize give: to a step for each pass."""
    scene = ScriptedRooms({})
    async with real_network(scene) as rooms:
        stored = (await do(make_job(**asked), BEGUN, rooms)).stored

    expected = resize(Raster(passed(photograph("coffee", HEIGHT, WIDTH), times)), *size).pixels
    with Image.open(io.BytesIO(scene.store.objects[stored.key]["Body"])) as image:
        found = np.asarray(image)
    assert (stored.width, stored.height) == size == (found.shape[1], found.shape[0])
    assert np.abs(found.astype(int) - expected).max() <= times
