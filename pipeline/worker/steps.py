"""The steps of one job, bound to the real rooms, within the worker's budgets and the job's deadline."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from pipeline import __version__
from pipeline.batching.work import BatchKey
from pipeline.errors import DeviceDied, JobExpired, JobFailed
from pipeline.gpu.model import ModelFacts
from pipeline.gpu.models.interpolate import together
from pipeline.imaging.align import SIDE
from pipeline.imaging.decode import Decoded
from pipeline.imaging.encode import EncodedImage, encode
from pipeline.imaging.passes import check_sizes, largest_source, sizes_of
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import Size
from pipeline.imaging.tiling import Tiling, assemble, divide
from pipeline.storage.jobs import Begun
from pipeline.storage.keys import ResultIdentity
from pipeline.storage.objects import SourceBytes, SourceFacts, SourceRef, StoredObject
from pipeline.storage.store import find_result, store_result
from pipeline.telemetry import metrics
from pipeline.worker.faces import FaceNetworks, FaceSteps, restore_faces
from pipeline.worker.faces import prepare as prepare_faces
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from pipeline.worker.rooms import Rooms
from pipeline.worker.upscale import RestoreFaces, upscale
from schemas.events import Provenance
from schemas.options import FaceOrder, MetadataPolicy, UpscaleOptions

PIXEL_PATH = "1"
"""Raised when the same input gives other pixels, so that an older result is never passed off as a newer one."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The networks of one job."""

    model: ModelFacts
    faces: FaceNetworks | None
    """None unless the request asks for them."""


async def do(job: Job, begun: Begun, rooms: Rooms) -> Done:
    """One job, from its reference to its stored result.

    Raises `JobFailed`, `JobExpired` at its deadline, and `DeviceDied`: another worker will do it then, and its caller
    need not hear of it.
    """
    if job.deadline is not None and job.deadline <= asyncio.get_running_loop().time():
        raise JobExpired
    try:
        async with asyncio.timeout_at(job.deadline) as deadline, AsyncExitStack() as held:
            made_by = await _made_by(job, rooms)
            steps = JobSteps(job, rooms, made_by, held)
            stored = await _earlier(job, begun, rooms, made_by) or await upscale(job, steps)
    except TimeoutError:
        if deadline.expired():
            raise JobExpired from None
        raise
    except JobFailed as error:
        if rooms.lane.closed:
            raise DeviceDied("the device stopped working") from error
        raise
    return Done(stored, _provenance(made_by))


async def _made_by(job: Job, rooms: Rooms) -> MadeBy:
    """The networks of a job, each loaded once: what is missing is told before anything is fetched."""
    model = await rooms.lane.prepare(str(job.variant))
    faces = await prepare_faces(job.restorer, rooms.lane) if job.restorer is not None else None
    return MadeBy(model, faces)


async def _earlier(job: Job, begun: Begun, rooms: Rooms, made_by: MadeBy) -> StoredObject | None:
    """What a worker that has died since had stored already: it need not be computed again."""
    if begun.starts == 1:
        return None
    return await rooms.store_breaker.call(lambda: find_result(rooms.store, _identity(job, made_by)))


@dataclass(frozen=True, slots=True)
class JobSteps:
    """One job's `Steps` in the real rooms. What it takes of the budgets it keeps until `held` is closed."""

    job: Job
    rooms: Rooms
    made_by: MadeBy
    held: AsyncExitStack

    async def fetch(self, ref: SourceRef) -> SourceBytes:
        rooms = self.rooms
        taking = rooms.bytes.hold(rooms.fetching.max_bytes, self.job.request.tenant)
        budget = await self.held.enter_async_context(taking)
        # Whoever waits for the store must need it: the web's answers say nothing of whether it is back.
        in_store = ref.bucket is not None
        source = await (rooms.store_breaker.call(lambda: rooms.fetch(ref)) if in_store else rooms.fetch(ref))
        budget.shrink(len(source.data))
        return source

    async def decode(self, source: SourceBytes) -> Decoded:
        taking = self.rooms.pixels.hold(self.rooms.limits.max_pixels, self.job.request.tenant)
        budget = await self.held.enter_async_context(taking)
        keep_exif = self._options.metadata is MetadataPolicy.KEEP
        decoded = await self.rooms.decoders.decode(source.data, keep_exif=keep_exif)
        width, height = decoded.raster.width, decoded.raster.height
        budget.shrink(largest_source(width, height, self._planned(decoded.raster)))
        metrics.SOURCE_MEGAPIXELS.labels(self.job.lane).inc(width * height / 1e6)
        return decoded

    def sizes(self, raster: Raster) -> tuple[Size, ...]:
        limits, found = self.rooms.limits, self._planned(raster)
        check_sizes(found, self._options, max_pixels=limits.max_pixels, max_output_pixels=limits.max_output_pixels)
        return found

    def divide(self, raster: Raster) -> Tiling:
        model, options = self.job.model, self._options
        pad = model.pad if options.tile_pad is None else options.tile_pad
        sides = sides_up_to(self.rooms.lane.profile.sides, options.tile_size)
        return divide(raster, pad=pad, sides=sides, multiple=model.multiple)

    async def infer(self, tiling: Tiling) -> Sequence[Pixels]:
        key = BatchKey(str(self.job.variant), tiling.plan.window_height, tiling.plan.window_width)
        progress = self.rooms.announcer.progress(self.job.request)
        return await self.rooms.compute(self.job, key, tiling.tiles, self.made_by.model, progress)

    def assemble(self, tiling: Tiling, tiles: Sequence[Pixels], size: Size) -> Raster:
        return assemble(tiling, tiles, size, native_scale=self.job.model.scale)

    def faces(self, order: FaceOrder) -> RestoreFaces | None:
        networks, options = self.made_by.faces, self._options.faces
        if networks is None or options.order is not order:
            return None

        async def compute(model: str, crops: Sequence[Pixels]) -> Sequence[Pixels]:
            return await self.rooms.compute(self.job, BatchKey(model, SIDE, SIDE), crops, networks.facts[model])

        steps = FaceSteps(partial(self.rooms.lane.find_faces, networks.detector), compute, self.off_loop)
        return partial(restore_faces, networks=networks, options=options, steps=steps)

    def encode(self, raster: Raster) -> EncodedImage:
        return encode(raster, output_format=self._options.output_format, quality=self._options.quality)

    async def store(self, image: EncodedImage, source: SourceFacts) -> StoredObject:
        identity = _identity(self.job, self.made_by)
        return await self.rooms.store_breaker.call(
            lambda: store_result(self.rooms.store, image, source, identity, version=__version__)
        )

    async def off_loop(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.rooms.threads, partial(function, *args, **kwargs))

    @property
    def _options(self) -> UpscaleOptions:
        return self.job.request.options

    def _planned(self, raster: Raster) -> tuple[Size, ...]:
        return sizes_of(raster.width, raster.height, self._options, self.job.model.scale)


def sides_up_to(sides: Sequence[int], largest: int | None) -> tuple[int, ...]:
    """The device's window sides that a request allows; its smallest when it allows none."""
    return tuple(side for side in sides if largest is None or side <= largest) or tuple(sides[:1])


def _identity(job: Job, made_by: MadeBy) -> ResultIdentity:
    model, faces = made_by.model, made_by.faces
    return ResultIdentity(
        tenant=job.request.tenant,
        job_id=job.request.job_id,
        source=job.request.source,
        options=job.request.options,
        model=model.spec.name,
        weights_sha256=together((model.weights_sha256, *(faces.weights.values() if faces else ()))),
        pixel_path=PIXEL_PATH,
    )


def _provenance(made_by: MadeBy) -> Provenance:
    model, faces = made_by.model, made_by.faces
    return Provenance(
        model=model.spec.name,
        weights_sha256=model.weights_sha256,
        precision=model.precision,
        version=__version__,
        face_weights_sha256=faces.weights if faces else {},
    )
