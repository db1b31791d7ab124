"""Pixels -> faces: what the detector guesses, without what it is not sure of and what it says twice."""

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from pipeline.gpu.model import LoadedModel
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels

LEAST_SCORE = 0.97
LARGEST_OVERLAP = 0.4
"""Upstream's: of two boxes that share more of their area, the one with the lower score is dropped."""
MOST_GUESSES = 5000
"""Compared with each other; RetinaFace's own limit. Without one, a picture of nothing but faces takes minutes."""


def find_faces(model: LoadedModel, pixels: Pixels, device: str) -> tuple[Face, ...]:
    """The faces in (height, width, 3) uint8 RGB, surest first, by a model that finds faces.

    Call under `torch.inference_mode`. Raises whatever torch raises.
    """
    host = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1]))
    batch = host.to(device).permute(2, 0, 1).unsqueeze(0).float()
    return tuple(_face(row) for row in _kept(model.network(batch).cpu()).tolist())


def _kept(rows: Tensor) -> Tensor:
    sure = rows[(rows[:, 4] > LEAST_SCORE) & torch.isfinite(rows).all(dim=1)]
    best = sure[sure[:, 4].argsort(descending=True)][:MOST_GUESSES]
    return best[nms(best[:, :4], best[:, 4], LARGEST_OVERLAP)]


def _face(row: list[float]) -> Face:
    left, top, right, bottom, score, *points = row
    first, second, third, fourth, fifth = zip(points[::2], points[1::2], strict=True)
    return Face((left, top, right, bottom), score, (first, second, third, fourth, fifth))
