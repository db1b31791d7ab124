"""A device that takes as long as a law says, and enlarges by repeating pixels, so that results are known exactly."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pipeline.gpu import selftest
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.models.catalog import MODELS, find
from pipeline.imaging.raster import Pixels
from tests.support.images import nearest
from tests.support.networks import SCALE, repeating

WEIGHTS_SHA256 = hashlib.sha256(b"no weights").hexdigest()
PROFILE = DeviceProfile(
    device="cpu",
    name="fake",
    precision="fp32",
    threads=1,
    sides=(32, 96, 288),
    max_batch_tiles=32,
    max_batch_pixels=32 * 96 * 96,
)
"""As a GPU is fed: one launch at a time, few shapes, many tiles."""


@dataclass(frozen=True, slots=True)
class LatencyLaw:
    """How long a launch takes."""

    setup_seconds: float = 0.0
    seconds_per_megapixel: float = 0.0
    """Of source pixels, the windows' context included."""

    def seconds(self, pixels: int) -> float:
        return self.setup_seconds + self.seconds_per_megapixel * pixels / 1e6


INSTANT = LatencyLaw()


def fake_load(
    law: LatencyLaw,
    *,
    half_way: Callable[[Tensor], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[[str], LoadedModel]:
    """What a lane takes to load models: every model of the catalog, with this device in place of its network.

    `half_way` is called in the middle of each launch, on the lane's thread, with its tiles.
    """

    def network(pixels: Tensor) -> Tensor:
        tiles, _, height, width = pixels.shape
        half = law.seconds(tiles * height * width) / 2
        sleep(half)
        half_way(pixels)
        sleep(half)
        return repeating(pixels)

    return lambda name: LoadedModel(find(name), WEIGHTS_SHA256, network, lambda: network)


def answer_the_self_test() -> None:
    """Make this process expect of its models what this device answers. For a process of its own: it is not undone."""
    answer = selftest.samples(enlarged(selftest.known_tile()))
    selftest.EXPECTED.update({spec.name: answer for spec in MODELS})


def enlarged(pixels: Pixels) -> Pixels:
    """The result of a picture at the networks' own scale, sample by sample."""
    return nearest(pixels, SCALE)
