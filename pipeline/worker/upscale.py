"""The data path, top to bottom: from a source reference to a stored result."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

from pipeline.imaging.decode import Decoded
from pipeline.imaging.encode import EncodedImage
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import Size
from pipeline.imaging.tiling import Tiling
from pipeline.storage.objects import SourceBytes, SourceFacts, SourceRef, StoredObject
from pipeline.telemetry.stage import Timings, stage
from pipeline.worker.intake import Job
from schemas.options import FaceOrder
from schemas.stages import Stage

P = ParamSpec("P")
T = TypeVar("T")

RestoreFaces = Callable[[Raster, Raster], Awaitable[Raster]]
"""The source, and what became of it: that with the source's faces restored."""


class OffLoop(Protocol):
    """Runs a plain function on another thread, so that the event loop never waits for pixels."""

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...


class Steps(Protocol):
    """The steps of one job: those in the real rooms are in `steps.py`."""

    async def fetch(self, ref: SourceRef) -> SourceBytes: ...
    async def decode(self, source: SourceBytes) -> Decoded: ...

    def sizes(self, raster: Raster) -> Sequence[Size]:
        """The picture's size after each pass of the network: one, unless it is to run over its own result. The last is
        the result's. Refuses what is too large before anything is computed."""

    def divide(self, raster: Raster) -> Tiling: ...

    async def infer(self, tiling: Tiling) -> Sequence[Pixels]:
        """Through the batcher; one upscaled tile for each tile, in order."""

    def assemble(self, tiling: Tiling, tiles: Sequence[Pixels], size: Size) -> Raster: ...

    def faces(self, order: FaceOrder) -> RestoreFaces | None:
        """On the source before it is cut, or on the upscaled picture. None unless the request asks for them there."""

    def encode(self, raster: Raster) -> EncodedImage: ...
    async def store(self, image: EncodedImage, source: SourceFacts) -> StoredObject: ...

    @property
    def off_loop(self) -> OffLoop: ...


async def upscale(job: Job, steps: Steps) -> StoredObject:
    """Do one job. Raises `JobFailed` when it cannot be done; nothing is stored then.

    Storing waits for as long as the store is away: by then neither source nor pixels are held.
    """
    image, facts = await _make(job, steps)
    with stage(Stage.STORE, job.timings):
        return await steps.store(image, facts)


async def _make(job: Job, steps: Steps) -> tuple[EncodedImage, SourceFacts]:
    timings = job.timings

    with stage(Stage.FETCH, timings):
        source = await steps.fetch(job.source)

    with stage(Stage.DECODE, timings):
        decoded = await steps.decode(source)

    raster, sizes = decoded.raster, steps.sizes(decoded.raster)
    if restore := steps.faces(FaceOrder.BEFORE):
        with stage(Stage.FACE, timings):
            raster = await restore(raster, raster)

    for size in sizes:
        raster = await _enlarge(raster, size, timings, steps)

    if restore := steps.faces(FaceOrder.AFTER):
        with stage(Stage.FACE, timings):
            raster = await restore(decoded.raster, raster)

    with stage(Stage.ENCODE, timings):
        image = await steps.off_loop(steps.encode, raster)

    return image, SourceFacts(decoded.raster.width, decoded.raster.height, (*decoded.warnings, *image.warnings))


async def _enlarge(raster: Raster, size: Size, timings: Timings, steps: Steps) -> Raster:
    """One pass of the network."""
    with stage(Stage.TILE, timings):
        tiling = await steps.off_loop(steps.divide, raster)

    with stage(Stage.BATCH, timings):
        tiles = await steps.infer(tiling)

    with stage(Stage.STITCH, timings):
        return await steps.off_loop(steps.assemble, tiling, tiles, size)
