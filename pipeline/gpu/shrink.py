"""Out of device memory: have unused memory given back, then halve the batch, quarter the tile, and give the job up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import structlog
import torch

from pipeline.batching.work import TilePixels
from pipeline.errors import JobFailed
from pipeline.gpu.models.specs import ModelSpec, Purpose
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

Answer = TypeVar("Answer")
Launch = Callable[[Sequence[TilePixels]], list[TilePixels]]
Reclaim = Callable[[], None]
"""Gives back what the device holds and nobody uses."""

_OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",  # the CPU's allocator
    "out of memory",  # CUDA's driver and MPS
    "Invalid buffer size",  # MPS, of one buffer larger than it ever gives: pytorch/pytorch#141909
    "CUDNN_STATUS_ALLOC_FAILED",  # cuDNN before 9
    "ALLOCATION_FAILED",  # cuDNN from 9 on: CUDNN_STATUS_INTERNAL_ERROR_{HOST,DEVICE}_ALLOCATION_FAILED
    "CUBLAS_STATUS_ALLOC_FAILED",
    "unable to find an engine",  # torch, when there is no workspace for any of cuDNN's ways: Nerogar/OneTrainer#274
)
"""torch has a type for its own allocator on CUDA only; all else is a bare RuntimeError that says so."""

WORTHWHILE = 0.75
"""A side is cut when its parts are at most this long: below, context is most of what would be computed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of one side of a tile: what is launched, and which of it is kept. Source pixels."""

    start: int
    stop: int
    core_start: int
    core_stop: int


def within_memory(launch: Launch, tiles: Sequence[TilePixels], spec: ModelSpec, reclaim: Reclaim) -> list[TilePixels]:
    """`launch(tiles)`, in smaller pieces when memory does not suffice for it at once.

    A quartered tile keeps the model's context at its inner cuts. Raises `JobFailed(DEVICE_OUT_OF_MEMORY)` when a tile
    cannot be cut further.
    """

    def make_room() -> None:
        metrics.OUT_OF_MEMORY.inc()
        height, width = tiles[0].shape[:2]
        log.warning("out_of_memory", model=spec.name, tiles=len(tiles), height=height, width=width)
        reclaim()

    result = attempt(lambda: launch(tiles), make_room)
    if result is not None:
        return result
    if len(tiles) > 1:
        both = tiles[: len(tiles) // 2], tiles[len(tiles) // 2 :]
        return [tile for half in both for tile in within_memory(launch, half, spec, reclaim)]
    return [_in_parts(lambda part: within_memory(launch, [part], spec, reclaim)[0], tiles[0], spec)]


def attempt(work: Callable[[], Answer], make_room: Reclaim) -> Answer | None:
    """`work()`; when out of memory once more after `make_room()`, and None when it is then too.

    torch gives back what it keeps for itself before it raises, but not what the failed work held until then, and not
    for the sake of cuDNN and cuBLAS, which have memory of their own.
    """
    answer = _tried(work)
    if answer is None:
        make_room()
        answer = _tried(work)
    return answer


def _tried(work: Callable[[], Answer]) -> Answer | None:
    """None when out of memory. The exception ends here, and with it its frames' hold on what the work had so far."""
    try:
        return work()
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether this is an allocator saying that there is no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY_TEXTS)


def out_of_memory(height: int, width: int) -> JobFailed:
    """The failure of a job that needs more than the device has left."""
    return JobFailed(
        FailureCode.DEVICE_OUT_OF_MEMORY,
        f"the device has not enough memory left for a window of {width} x {height} pixels",
        {"width": width, "height": height},
    )


def _in_parts(launch: Callable[[TilePixels], TilePixels], tile: TilePixels, spec: ModelSpec) -> TilePixels:
    height, width, channels = tile.shape
    parts = list(product(halves(height, spec.pad, spec.multiple), halves(width, spec.pad, spec.multiple)))
    # Half a face is none: a crop of one is computed whole or not at all.
    if len(parts) == 1 or spec.purpose is not Purpose.UPSCALE:
        raise out_of_memory(height, width)
    scale = spec.scale
    whole = np.empty((height * scale, width * scale, channels), tile.dtype)
    for rows, columns in parts:
        piece = tile[rows.start : rows.stop, columns.start : columns.stop]
        upscaled = launch(piece)
        whole[_kept(rows, scale), _kept(columns, scale)] = upscaled[_core(rows, scale), _core(columns, scale)]
    return whole


def halves(length: int, pad: int, multiple: int = 1) -> tuple[Part, ...]:
    """Two parts of equal length that share at least `pad` on either side of the middle; one when that saves too little.

    Where `length` is a multiple of `multiple`, so are the parts, the middle, and where they begin.
    """
    middle = length // 2 // multiple * multiple
    extent = -(-(length - middle + pad) // multiple) * multiple
    if extent > length * WORTHWHILE:
        return (Part(0, length, 0, length),)
    return Part(0, extent, 0, middle), Part(length - extent, length, middle, length)


def _kept(part: Part, scale: int) -> slice:
    return slice(part.core_start * scale, part.core_stop * scale)


def _core(part: Part, scale: int) -> slice:
    return slice((part.core_start - part.start) * scale, (part.core_stop - part.start) * scale)
