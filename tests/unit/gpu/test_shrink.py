"""Running out of device memory."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batching.work import TilePixels
from pipeline.errors import JobFailed
from pipeline.gpu.infer import infer
from pipeline.gpu.models import catalog
from pipeline.gpu.shrink import halves, within_memory
from schemas.failures import FailureCode
from tests.support.images import make_pixels
from tests.support.networks import NAME, smoothing, tiny_model

SPEC = replace(catalog.find(NAME), pad=2)
"""`smoothing` sees two pixels far."""


class SmallDevice:
    """Holds `pixels` source pixels of a launch, and raises what torch raises beyond."""

    def __init__(self, pixels: int, error: Exception) -> None:
        self.pixels = pixels
        self.error = error
        self.launches: list[tuple[int, ...]] = []

    def __call__(self, tiles: Sequence[TilePixels]) -> list[TilePixels]:
        self.launches.append((len(tiles), *tiles[0].shape[:2]))
        if len(tiles) * tiles[0].shape[0] * tiles[0].shape[1] > self.pixels:
            raise self.error
        with torch.inference_mode():
            return infer(tiny_model(smoothing), tiles, "cpu")


def nothing() -> None:
    """There is no memory to give back."""


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
    RuntimeError("MPS backend out of memory"),
    RuntimeError("Invalid buffer size: 19.45 GB"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:12])
def test_out_of_memory_halves_the_batch(error: Exception) -> None:
    """What does not fit twice is halved, in order, until it does; the result is as if it had fitted at once."""
    tiles = [make_pixels(8, 8, pattern=pattern) for pattern in ("noise", "gradient", "checker")]
    device = SmallDevice(pixels=64, error=error)

    results = within_memory(device, tiles, SPEC, nothing)

    assert device.launches == [(3, 8, 8), (3, 8, 8), (1, 8, 8), (2, 8, 8), (2, 8, 8), (1, 8, 8), (1, 8, 8)]
    assert all(
        np.array_equal(result, SmallDevice(64, error)([tile])[0]) for result, tile in zip(results, tiles, strict=True)
    )


def test_launch_fits_as_it_is_once_memory_was_given_back() -> None:
    """What earlier launches have left is in the way of libraries that have memory of their own."""
    device = SmallDevice(0, RuntimeError("GET was unable to find an engine to execute this computation"))

    def reclaim() -> None:
        device.pixels = 1000

    assert len(within_memory(device, [make_pixels(8, 8)] * 3, SPEC, reclaim)) == 3
    assert device.launches == [(3, 8, 8)] * 2


@pytest.mark.parametrize("shape", [(40, 40), (41, 23), (40, 4), (3, 40)])
@pytest.mark.parametrize("depth", [8, 16])
def test_out_of_memory_quarters_a_single_tile_without_a_seam(shape: tuple[int, int], depth: int) -> None:
    """The quarters carry the network's own reach of context, so nothing changes, at any odd size."""
    tile = make_pixels(*shape, depth=depth)
    whole = SmallDevice(10_000, MemoryError())([tile])[0]
    device = SmallDevice(pixels=shape[0] * shape[1] - 1, error=MemoryError())

    result = within_memory(device, [tile], SPEC, nothing)[0]

    assert result.dtype == tile.dtype
    assert np.array_equal(result, whole)
    assert len(device.launches) > 1


def test_out_of_memory_fails_the_job_when_nothing_is_left_to_cut() -> None:
    """A tile that is mostly context cannot shrink; the failure says how large it was."""
    device = SmallDevice(pixels=0, error=MemoryError())

    with pytest.raises(JobFailed) as caught:
        within_memory(device, [make_pixels(40, 40)], SPEC, nothing)

    assert caught.value.code is FailureCode.DEVICE_OUT_OF_MEMORY
    assert caught.value.details["width"] == 9


def test_another_error_passes_through() -> None:
    """Only memory is retried: after any other error the device cannot be trusted."""
    device = SmallDevice(pixels=0, error=RuntimeError("CUDA error: an illegal memory access was encountered"))

    with pytest.raises(RuntimeError, match="illegal memory access"):
        within_memory(device, [make_pixels(8, 8)], SPEC, nothing)


@pytest.mark.parametrize(("length", "pad"), [(40, 2), (41, 2), (40, 10), (5, 0)])
def test_halves_cover_a_side_once_with_context(length: int, pad: int) -> None:
    """The cores meet, the parts are equally long and shorter than the whole, and keep their context."""
    first, second = halves(length, pad)

    assert (first.core_start, first.core_stop, second.core_stop) == (0, second.core_start, length)
    assert first.stop - first.start == second.stop - second.start < length
    assert first.stop - first.core_stop >= pad
    assert second.core_start - second.start >= pad


@given(st.integers(1, 60), st.integers(0, 40), st.integers(1, 8))
def test_halves_keep_a_networks_blocks_whole(blocks: int, pad: int, multiple: int) -> None:
    """Parts of a window of whole blocks begin and end between blocks, cover it once, and keep their context."""
    length = blocks * multiple
    parts = halves(length, pad, multiple)

    assert [part.core_start for part in parts] + [length] == [0, *(part.core_stop for part in parts)]
    for part in parts:
        assert (part.start % multiple, part.stop % multiple, part.core_stop % multiple) == (0, 0, 0)
        assert part.start == 0 or part.core_start - part.start >= pad
        assert part.stop == length or part.stop - part.core_stop >= pad


@pytest.mark.parametrize(("length", "pad"), [(40, 11), (40, 20), (1, 0), (3, 1)])
def test_halves_leave_a_side_that_would_not_shrink(length: int, pad: int) -> None:
    """Where context eats the saving there is one part: the whole."""
    assert [(part.start, part.stop) for part in halves(length, pad)] == [(0, length)]


def test_crop_of_a_face_is_computed_whole_or_not_at_all() -> None:
    """Half a face is none; a batch of crops is still halved."""
    device = SmallDevice(64, torch.OutOfMemoryError("CUDA out of memory."))
    spec = replace(catalog.find("gfpgan-v1.4"), pad=0)
    tiles = [make_pixels(8, 8), make_pixels(8, 8)]
    assert len(within_memory(device, tiles, spec, nothing)) == 2
    with pytest.raises(JobFailed) as caught:
        within_memory(device, [make_pixels(16, 16)], spec, nothing)
    assert caught.value.code is FailureCode.DEVICE_OUT_OF_MEMORY
