"""Golden answers: what each network of the install made of a crop of a photograph, kept as a file.

`python -m tests.support.golden` writes them anew: after a change of pixels that is meant, and looked at.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson
import torch
from PIL import Image
from torch import Tensor

from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.models.specs import ModelSpec, Purpose
from pipeline.gpu.networks.upscalers import fast_network
from pipeline.imaging.raster import Pixels
from tests.support.photographs import photograph

FOLDER = Path(__file__).parents[1] / "parity" / "golden"
MADE_OF = FOLDER / "made_of.json"
SIDE = 32
STEPS = 1
"""Of 255, that one sample may be off: a library that sums in another order rounds some samples the other way."""
SHARE = 0.005
"""Of all samples, that may be off at all. Measured: none is with one thread or two, alone or in a batch; a convolution,
one of 351, whose weights are 1 % too large moves 0.02 of them."""


def installed() -> list[ModelSpec]:
    """The upscaling networks whose weights come with the install."""
    return [spec for spec in catalog.MODELS if spec.carried is not None and spec.purpose is Purpose.UPSCALE]


def source() -> Pixels:
    """(32, 32, 3) uint8: an eye and the cheek beside it."""
    return photograph("astronaut", SIDE, SIDE)


def answer(spec: ModelSpec, tensors: Mapping[str, Tensor]) -> Pixels:
    """What the network makes of `source` with these parameters, float32 on the CPU."""
    network = fast_network(spec, tensors, "cpu", "fp32")
    with torch.inference_mode():
        result: Pixels = infer(LoadedModel(spec, "", network, lambda: network), [source()], "cpu")[0]
    return result


def kept(spec: ModelSpec) -> Pixels:
    """The answer on file."""
    with Image.open(FOLDER / f"{spec.name}.png") as image:
        return np.asarray(image)


def made_of() -> dict[str, str]:
    """SHA-256 of what the answers on file were made of: the source's samples, and each network's weights."""
    found: dict[str, str] = orjson.loads(MADE_OF.read_bytes())
    return found


def digests() -> dict[str, str]:
    """The same of what is installed now."""
    carried = {spec.name: spec.carried.sha256 for spec in installed() if spec.carried}
    return {"source": hashlib.sha256(source().tobytes()).hexdigest(), **carried}


def check(spec: ModelSpec, found: Pixels) -> None:
    """Raises `AssertionError` when `found` is not the answer on file, saying by how much."""
    error = np.abs(found.astype(np.int16) - kept(spec).astype(np.int16))
    share = float((error > 0).mean())
    assert error.max() <= STEPS, f"{spec.name}: {error.max()} steps off, {STEPS} may be; {share:.4f} of samples differ"
    assert share <= SHARE, f"{spec.name}: {share:.4f} of samples differ, {SHARE} may"


def write() -> None:
    """Compute and write every answer."""
    for spec in installed():
        tensors = weights.load(spec, Path("none")).tensors
        Image.fromarray(answer(spec, tensors)).save(FOLDER / f"{spec.name}.png", optimize=True)
    MADE_OF.write_bytes(orjson.dumps(digests(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    write()
