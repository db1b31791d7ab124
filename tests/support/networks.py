"""Networks small enough to reason about, as loaded models."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.batching.work import BatchKey, TileBatch, TilePixels
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models import catalog
from pipeline.gpu.networks.upscalers import Network

SCALE = 4
NAME = "realesr-animevideov3"


def repeating(pixels: Tensor) -> Tensor:
    """Every pixel becomes 4 x 4 equal ones."""
    n, _, height, width = pixels.shape
    rows = pixels.permute(0, 2, 3, 1)[:, :, None, :, None]
    return rows.expand(n, height, SCALE, width, SCALE, 3).contiguous()


def smoothing(pixels: Tensor) -> Tensor:
    """Every pixel becomes the mean of its 5 x 5 neighbourhood: a network that sees two pixels far."""
    padded = torch.nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    return repeating(torch.nn.functional.avg_pool2d(padded, 5, 1))


def constant(value: float) -> Network:
    """A network that says `value` of everything."""
    return lambda pixels: torch.full_like(repeating(pixels), value)


def raising(error: Exception) -> Callable[..., Tensor]:
    """A network that fails so."""

    def network(*_: object) -> Tensor:
        raise error

    return network


def tiny_model(network: Network = repeating, exact: Network = repeating) -> LoadedModel:
    """A model of the catalog with another network inside."""
    return LoadedModel(catalog.find(NAME), "0" * 64, network, lambda: exact)


def tiny_load(network: Network = repeating) -> Callable[[str], LoadedModel]:
    """What a lane takes to load models."""
    return lambda _: tiny_model(network)


def cpu_profile() -> DeviceProfile:
    """A small CPU in float32."""
    return DeviceProfile("cpu", "cpu", "fp32", 1, (8, 16, 32), max_batch_tiles=4, max_batch_pixels=4 * 32 * 32)


def batch_of(*tiles: TilePixels, jobs: int = 1) -> TileBatch:
    """A launch of these tiles."""
    return TileBatch(BatchKey(NAME, tiles[0].shape[0], tiles[0].shape[1]), tiles, jobs)


def flat_tile(value: int, side: int = 8) -> TilePixels:
    """A tile of one colour, uint8."""
    return np.full((side, side, 3), value, np.uint8)
