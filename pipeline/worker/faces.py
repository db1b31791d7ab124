"""Faces of one job: found, chosen, aligned, restored, parsed and pasted, with crops of all jobs batched like tiles."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import JobFailed
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import ModelFacts
from pipeline.gpu.models.specs import ModelSpec
from pipeline.imaging.align import Affine, aligning, crop
from pipeline.imaging.faces import Face, choose, view
from pipeline.imaging.paste import Restored, paste
from pipeline.imaging.raster import Pixels, Raster
from pipeline.worker.upscale import OffLoop
from schemas.failures import FailureCode
from schemas.options import FaceOptions

DETECTORS = ("retinaface-resnet50", "retinaface-mobile0.25")
"""Best first: the one upstream uses, and the one that comes with the install."""
PARSER = "parsenet"


@dataclass(frozen=True, slots=True)
class FaceNetworks:
    """The networks that restore the faces of one job, all of them loaded once."""

    detector: str
    restorer: str
    parser: str
    facts: dict[str, ModelFacts]
    """Of each one, by its name."""

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of each one's file, by its name."""
        return {name: facts.weights_sha256 for name, facts in self.facts.items()}


class Crops(Protocol):
    """Runs a network over crops of faces, through the batcher; one answer for each, in order."""

    async def __call__(self, model: str, crops: Sequence[Pixels]) -> Sequence[Pixels]: ...


@dataclass(frozen=True, slots=True)
class FaceSteps:
    """What restoring faces takes. `steps.py` binds the real ones; plain functions serve in tests."""

    find: Callable[[Pixels], Awaitable[Sequence[Face]]]
    """In (height, width, 3) uint8."""
    compute: Crops
    off_loop: OffLoop


async def prepare(restorer: ModelSpec, lane: DeviceLane) -> FaceNetworks:
    """Load what restoring faces takes, so that what is missing is told before anything is computed.

    Raises `JobFailed`, of MODEL_NOT_AVAILABLE with the cure when weights are missing.
    """
    facts: dict[str, ModelFacts] = {}
    for name in (restorer.name, PARSER):
        facts[name] = await _facts(name, restorer, lane)
    detector = await _detector(restorer, lane, facts)
    return FaceNetworks(detector, restorer.name, PARSER, facts)


async def restore_faces(
    source: Raster, picture: Raster, networks: FaceNetworks, options: FaceOptions, steps: FaceSteps
) -> Raster:
    """`picture`, which is `source` or what became of it, with the faces of `source` restored.

    A picture without faces comes back as it is: that is no failure. Raises `JobFailed`.
    """
    faces, crops = await _aligned(source, options, steps)
    if not faces:
        return picture
    restored = await steps.compute(networks.restorer, crops)
    parsed = await steps.compute(networks.parser, restored)
    # One channel of three equal ones; a view would keep all three.
    pasted = [
        Restored(pixels, mask[..., 0].copy(), affine)
        for pixels, mask, affine in zip(restored, parsed, faces, strict=True)
    ]
    return await steps.off_loop(paste, source, picture, pasted, options.weight)


async def _aligned(source: Raster, options: FaceOptions, steps: FaceSteps) -> tuple[list[Affine], list[Pixels]]:
    shown = await steps.off_loop(view, source)
    found = [face.scaled(shown.reduction) for face in await steps.find(shown.pixels)]
    return await steps.off_loop(_cut, source, choose(found, source.width, source.height, options))


def _cut(source: Raster, faces: Sequence[Face]) -> tuple[list[Affine], list[Pixels]]:
    affines = [affine for face in faces if (affine := aligning(face)) is not None]
    return affines, [crop(source, affine) for affine in affines]


async def _detector(restorer: ModelSpec, lane: DeviceLane, facts: dict[str, ModelFacts]) -> str:
    *others, last = DETECTORS
    for name in others:
        try:
            facts[name] = await lane.prepare(name)
        except JobFailed as error:
            if error.code is not FailureCode.MODEL_NOT_AVAILABLE:
                raise
        else:
            return name
    facts[last] = await _facts(last, restorer, lane)
    return last


async def _facts(name: str, restorer: ModelSpec, lane: DeviceLane) -> ModelFacts:
    try:
        return await lane.prepare(name)
    except JobFailed as error:
        if error.code is not FailureCode.MODEL_NOT_AVAILABLE:
            raise
        cure = f"upscale models pull {restorer.name}"
        raise JobFailed(
            error.code,
            f"faces.model: the weights of {name!r}, which restoring faces with {restorer.name!r} takes, are missing "
            f"or not the published ones on this worker; `{cure}` installs them",
            {"field": "options.faces.model", "value": restorer.name, "missing": name, "cure": cure},
        ) from error
