"""TileBatch -> upscaled tiles; one forward call.

Normalising, clamping, rounding and laying out happen on the device. What a tile becomes does not depend on the tiles
beside it, up to one step in the last place where a library picks another algorithm for another batch size.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import structlog
import torch
from torch import Tensor

from pipeline.batching.work import TilePixels
from pipeline.errors import JobFailed
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.networks.upscalers import Network
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

PEAKS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65_535}
INTEGERS = {255: torch.uint8, 65_535: torch.uint16}
STRIP_ROWS = 16
"""Source rows quantised at a time on a CPU: small enough for its caches, half the time of whole tiles."""

log = structlog.get_logger()


def infer(model: LoadedModel, tiles: Sequence[TilePixels], device: str) -> list[TilePixels]:
    """Upscale tiles of one shape (height, width, 3), uint8 and uint16 mixed as they come, in one launch.

    Gives (scale * height, scale * width, 3) in each tile's own dtype. Call under `torch.inference_mode`. Raises
    `JobFailed(DEVICE_FAILED)` when float32 gives no finite answer either, and whatever torch raises.
    """
    peaks = [PEAKS[tile.dtype] for tile in tiles]
    pixels = _normalised(tiles, peaks, device)
    cells = model.network(pixels)
    pictures = [
        _quantised(cells[index] if finite else _exactly(model, pixels[index : index + 1]), peaks[index])
        for index, finite in enumerate(_are_finite(cells))
    ]
    return [_downloaded(picture) for picture in pictures]


def _normalised(tiles: Sequence[TilePixels], peaks: Sequence[int], device: str) -> Tensor:
    """(n, 3, height, width) float32 in 0..1, channels last. The narrowest dtype that holds all tiles is sent."""
    host: npt.NDArray[np.uint8 | np.uint16] = np.stack(tiles)
    levels = torch.tensor(peaks, dtype=torch.float32, device=device).view(-1, 1, 1, 1)
    return torch.from_numpy(host).to(device).to(torch.float32).div_(levels).permute(0, 3, 1, 2)


def _exactly(model: LoadedModel, pixels: Tensor) -> Tensor:
    """The cells, in float32, of one tile whose cells hold a NaN or an infinity."""
    metrics.FP32_FALLBACKS.labels(model.spec.name).inc()
    log.warning("tile_not_finite", model=model.spec.name)
    exact: Network = model.exact()
    cells = exact(pixels)
    if not all(_are_finite(cells)):
        raise JobFailed(FailureCode.DEVICE_FAILED, "the network gave no finite answer for a part of the picture")
    return cells[0]


def _are_finite(cells: Tensor) -> list[bool]:
    """Of each tile. A GPU is asked once: an answer waits until it has computed all that it was given."""
    # A sum carries every NaN and infinity, and reads memory once; isfinite of each sample writes as much again.
    found: list[bool] = torch.isfinite(torch.stack([tile.sum() for tile in cells])).tolist()
    return found


def _quantised(cells: Tensor, peak: int) -> Tensor:
    """(height, side, width, side, 3) float32 -> (side * height, side * width, 3) integers, rounded half to even."""
    height, side, width = cells.shape[:3]
    result = torch.empty(cells.shape, dtype=INTEGERS[peak], device=cells.device)
    rows = STRIP_ROWS if cells.device.type == "cpu" else height
    for top in range(0, height, rows):
        strip = cells[top : top + rows]
        result[top : top + rows] = strip.mul(peak).round_().clamp_(0, peak).to(INTEGERS[peak])
    return result.view(height * side, width * side, 3)


def _downloaded(picture: Tensor) -> TilePixels:
    pixels: TilePixels = picture.cpu().numpy()
    return pixels
