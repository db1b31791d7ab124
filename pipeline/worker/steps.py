"""The steps of one job, bound to the real rooms, within the worker's budgets and the job's deadline."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
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
from pipeline.worker.upscale import RestoreFaces, Steps, upscale
from schemas.events import Provenance
from schemas.options import FaceOrder, MetadataPolicy

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
            stored = await _earlier(job, begun, rooms, made_by) or await upscale(job, _steps(job, rooms, made_by, held))
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


def _steps(job: Job, rooms: Rooms, made_by: MadeBy, held: AsyncExitStack) -> Steps:
    options, limits, tenant = job.request.options, rooms.limits, job.request.tenant

    async def fetch(ref: SourceRef) -> SourceBytes:
        budget = await held.enter_async_context(rooms.bytes.hold(rooms.fetching.max_bytes, tenant))
        # Whoever waits for the store must need it: the web's answers say nothing of whether it is back.
        in_store = ref.bucket is not None
        source = await (rooms.store_breaker.call(lambda: rooms.fetch(ref)) if in_store else rooms.fetch(ref))
        budget.shrink(len(source.data))
        return source

    async def decode(source: SourceBytes) -> Decoded:
        budget = await held.enter_async_context(rooms.pixels.hold(limits.max_pixels, tenant))
        decoded = await rooms.decoders.decode(source.data, keep_exif=options.metadata is MetadataPolicy.KEEP)
        width, height = decoded.raster.width, decoded.raster.height
        budget.shrink(largest_source(width, height, planned(decoded.raster)))
        metrics.SOURCE_MEGAPIXELS.labels(job.lane).inc(width * height / 1e6)
        return decoded

    def planned(raster: Raster) -> tuple[Size, ...]:
        return sizes_of(raster.width, raster.height, options, job.model.scale)

    def sizes(raster: Raster) -> tuple[Size, ...]:
        found = planned(raster)
        check_sizes(found, options, max_pixels=limits.max_pixels, max_output_pixels=limits.max_output_pixels)
        return found

    def cut(raster: Raster) -> Tiling:
        pad = job.model.pad if options.tile_pad is None else options.tile_pad
        sides = sides_up_to(rooms.lane.profile.sides, options.tile_size)
        return divide(raster, pad=pad, sides=sides, multiple=job.model.multiple)

    async def infer(tiling: Tiling) -> Sequence[Pixels]:
        key = BatchKey(str(job.variant), tiling.plan.window_height, tiling.plan.window_width)
        return await rooms.compute(job, key, tiling.tiles, made_by.model, rooms.announcer.progress(job.request))

    async def store(image: EncodedImage, source: SourceFacts) -> StoredObject:
        identity = _identity(job, made_by)
        return await rooms.store_breaker.call(
            lambda: store_result(rooms.store, image, source, identity, version=__version__)
        )

    return Steps(
        fetch=fetch,
        decode=decode,
        sizes=sizes,
        divide=cut,
        infer=infer,
        assemble=partial(assemble, native_scale=job.model.scale),
        encode=partial(encode, output_format=options.output_format, quality=options.quality),
        store=store,
        off_loop=partial(_off_loop, rooms.threads),
        faces_first=_faces(job, rooms, made_by, FaceOrder.BEFORE),
        faces_last=_faces(job, rooms, made_by, FaceOrder.AFTER),
    )


def _faces(job: Job, rooms: Rooms, made_by: MadeBy, order: FaceOrder) -> RestoreFaces | None:
    options, networks = job.request.options.faces, made_by.faces
    if networks is None or options.order is not order:
        return None

    async def compute(model: str, crops: Sequence[Pixels]) -> Sequence[Pixels]:
        return await rooms.compute(job, BatchKey(model, SIDE, SIDE), crops, networks.facts[model])

    steps = FaceSteps(partial(rooms.lane.find_faces, networks.detector), compute, partial(_off_loop, rooms.threads))
    return partial(restore_faces, networks=networks, options=options, steps=steps)


async def _off_loop(threads: Executor, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, partial(function, *args, **kwargs))


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
