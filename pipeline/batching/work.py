"""What the batcher takes and gives: types only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from opentelemetry.context import Context

from schemas.topics import Lane

TilePixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Shape (height, width, 3), RGB."""


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Tiles may share a launch when these are equal."""

    model: str
    height: int
    width: int
    """Window sides in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class TileWork:
    """All tiles of one plane of one job, and how urgent they are."""

    key: BatchKey
    tiles: tuple[TilePixels, ...]
    lane: Lane
    tenant: str
    deadline: float | None = None
    """On the batcher's clock; after it the work never reaches the device."""
    trace: Context | None = None
    """The trace of the job, to which the launches with its tiles are linked."""


@dataclass(frozen=True, slots=True, eq=False)
class TileBatch:
    """One launch: tiles of one key, possibly of many jobs."""

    key: BatchKey
    tiles: tuple[TilePixels, ...]
    jobs: int
    """How many different works the tiles come from."""
    traces: tuple[Context, ...] = ()
    """Of those works that have one."""
