"""Guarantees of pipeline.worker.faces: what a job's faces go through, alone and among those of other jobs."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.batching.batch import Batcher
from pipeline.batching.work import BatchKey, TileBatch, TilePixels, TileWork
from pipeline.errors import JobFailed
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models import catalog
from pipeline.imaging.align import SIDE
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels, Raster
from pipeline.worker.faces import DETECTORS, PARSER, FaceNetworks, FaceSteps, prepare, restore_faces
from schemas.failures import FailureCode
from schemas.options import FaceOptions
from schemas.topics import Lane
from tests.support.faces import make_face
from tests.support.images import make_raster
from tests.support.networks import cpu_profile

RESTORER = catalog.find("gfpgan-v1.4")
NETWORKS = FaceNetworks(DETECTORS[0], RESTORER.name, PARSER, {})


def inverting(pixels: Tensor) -> Tensor:
    """In place of a network that restores: light becomes dark."""
    return (1 - pixels).permute(0, 2, 3, 1)[:, :, None, :, None]


def middle(pixels: Tensor) -> Tensor:
    """In place of one that parses: the face is where a crop is not near its border, and brighter than black."""
    mask = torch.zeros_like(pixels)
    mask[..., 50:-50, 50:-50] = 1
    return (mask * (pixels > 0)).permute(0, 2, 3, 1)[:, :, None, :, None]


def load_fakes(name: str) -> LoadedModel:
    network = middle if name == PARSER else inverting
    return LoadedModel(catalog.find(name), name[0] * 64, network, lambda: network)


async def off_loop(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(function, *args, **kwargs)


def steps_finding(faces: Sequence[Face], batcher: Batcher) -> FaceSteps:
    async def find(pixels: Pixels) -> Sequence[Face]:
        return faces

    async def compute(model: str, crops: Sequence[TilePixels]) -> Sequence[TilePixels]:
        return await batcher.submit(TileWork(BatchKey(model, SIDE, SIDE), tuple(crops), Lane.BULK, "acme"))

    return FaceSteps(find, compute, off_loop)


PICTURES = [
    (make_raster(90 + index, 120, grey=index == 3, depth=16 if index == 5 else 8), count)
    for index, count in enumerate((0, 1, 5, 1, 0, 2, 3, 9))
]
"""Eight, with their number of faces."""


def faces_of(count: int) -> list[Face]:
    return [make_face(7 * index, 5 * index, 40 + index) for index in range(count)]


async def restored(pictures: Sequence[tuple[Raster, int]], launches: list[TileBatch]) -> list[Raster]:
    async with DeviceLane(cpu_profile(), load_fakes) as lane:

        async def run(batch: TileBatch) -> list[TilePixels]:
            launches.append(batch)
            return await lane.run(batch)

        async with Batcher(run, lambda key: 8) as batcher:
            return await asyncio.gather(
                *(
                    restore_faces(raster, raster, NETWORKS, FaceOptions(), steps_finding(faces_of(count), batcher))
                    for raster, count in pictures
                )
            )


async def test_faces_of_all_pictures_in_flight_share_launches_and_give_what_each_gives_alone() -> None:
    """Pictures without a face, with one and with many, of 8 bits, 16 bits and grey, at once."""
    launches: list[TileBatch] = []
    together = await restored(PICTURES, launches)
    alone = [(await restored([picture], []))[0] for picture in PICTURES]
    for among, single, (source, count) in zip(together, alone, PICTURES, strict=True):
        np.testing.assert_array_equal(single.pixels, among.pixels)
        assert (among.pixels.dtype, among.pixels.shape) == (source.pixels.dtype, source.pixels.shape)
        assert (among.pixels != source.pixels).any() == (count > 0)
    assert sum(len(batch.tiles) for batch in launches) == 2 * 21
    assert max(batch.jobs for batch in launches) > 1
    assert len(launches) < 2 * 21 / 3


async def test_picture_without_a_face_comes_back_as_it_is() -> None:
    """The same object: nothing is computed, nothing copied, nothing failed."""
    launches: list[TileBatch] = []
    source = PICTURES[0][0]
    assert (await restored([(source, 0)], launches))[0] is source
    assert launches == []


async def test_faces_that_are_not_chosen_are_not_computed() -> None:
    """A face whose eyes are too near costs nothing."""
    launches: list[TileBatch] = []

    async def run(batch: TileBatch) -> list[TilePixels]:
        launches.append(batch)
        return list(batch.tiles)

    source = PICTURES[1][0]
    async with Batcher(run, lambda key: 8) as batcher:
        steps = steps_finding([make_face(side=10), make_face(10, 10, 60)], batcher)
        await restore_faces(source, source, NETWORKS, FaceOptions(), steps)
    assert [len(batch.tiles) for batch in launches] == [1, 1]


async def test_landmarks_that_are_no_face_are_left_out() -> None:
    """And the rest of the picture's faces are restored."""
    nowhere = Face((0, 0, 9, 9), 1.0, ((5, 5),) * 5)
    source = PICTURES[1][0]

    async def run(batch: TileBatch) -> list[TilePixels]:
        assert len(batch.tiles) == 1
        return list(batch.tiles)

    async with Batcher(run, lambda key: 8) as batcher:
        steps = steps_finding([nowhere, make_face(10, 10, 60)], batcher)
        await restore_faces(source, source, NETWORKS, FaceOptions(min_eye_distance=0), steps)


def lane_lacking(*names: str, code: FailureCode = FailureCode.MODEL_NOT_AVAILABLE) -> DeviceLane:
    def load(name: str) -> LoadedModel:
        if name in names:
            raise JobFailed(code, f"model: {name}")
        return load_fakes(name)

    return DeviceLane(cpu_profile(), load)


async def test_networks_are_upstreams_where_they_are_there() -> None:
    """With the digest of each, for the result is theirs."""
    async with lane_lacking() as lane:
        networks = await prepare(RESTORER, lane)
    assert (networks.detector, networks.restorer, networks.parser) == (DETECTORS[0], RESTORER.name, PARSER)
    assert networks.weights == {RESTORER.name: "g" * 64, PARSER: "p" * 64, DETECTORS[0]: "r" * 64}


async def test_without_upstreams_detector_the_one_of_the_install_finds_faces() -> None:
    """Its digest tells the results apart."""
    async with lane_lacking(DETECTORS[0]) as lane:
        networks = await prepare(RESTORER, lane)
    assert networks.detector == DETECTORS[1]
    assert DETECTORS[0] not in networks.weights


@pytest.mark.parametrize("missing", [(RESTORER.name,), (PARSER,), DETECTORS])
async def test_missing_weights_are_told_with_their_cure(missing: tuple[str, ...]) -> None:
    """Before anything is computed, and never a picture whose faces were silently left as they are."""
    async with lane_lacking(*missing) as lane:
        with pytest.raises(JobFailed) as caught:
            await prepare(RESTORER, lane)
    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert caught.value.details["field"] == "options.faces.model"
    assert caught.value.details["missing"] == missing[-1]
    assert "`upscale models pull gfpgan-v1.4`" in caught.value.message


@pytest.mark.parametrize("failing", [PARSER, DETECTORS[0]])
async def test_failure_of_another_kind_is_told_as_it_is(failing: str) -> None:
    """A device that fails while it loads a network is no missing file."""
    async with lane_lacking(failing, code=FailureCode.DEVICE_OUT_OF_MEMORY) as lane:
        with pytest.raises(JobFailed) as caught:
            await prepare(RESTORER, lane)
    assert caught.value.code is FailureCode.DEVICE_OUT_OF_MEMORY
