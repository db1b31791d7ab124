"""Guarantees of pipeline.worker.upscale."""

import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import numpy as np
import orjson
import pytest

from pipeline.errors import JobFailed
from pipeline.gpu.models.catalog import Catalogue
from pipeline.imaging.decode import Decoded
from pipeline.imaging.encode import EncodedImage
from pipeline.imaging.raster import Pixels, Raster
from pipeline.imaging.resize import Size, target_size
from pipeline.imaging.tiling import Tiling, assemble, divide
from pipeline.kafka.records import Position, Received
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.objects import SourceBytes, SourceFacts, SourceRef, StoredObject
from pipeline.storage.sources import SourcePolicy
from pipeline.worker.intake import Clocks, Job, accept
from pipeline.worker.upscale import RestoreFaces, upscale
from schemas.failures import FailureCode
from schemas.options import FaceOrder, OutputFormat
from schemas.stages import Stage
from schemas.topics import Lane

P = ParamSpec("P")
T = TypeVar("T")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job() -> Job:
    value = orjson.dumps({"job_id": "j", "source": "https://example.com/a.png"})
    record = Received(Position("requests", 0, 1, epoch=1), Lane.BULK, None, value, (), NOW)
    policy = SourcePolicy.of(StoreSettings(), FetchSettings())
    accepted = accept(record, Clocks(lambda: NOW, lambda: 0.0), policy, Catalogue())
    assert isinstance(accepted, Job)
    return accepted


class Path:
    """Steps that need nothing outside, and note in which order they were taken."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.raster = Raster(np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3))
        self.planned: list[Size] = []
        self.result: Raster | None = None
        self.restoring: dict[FaceOrder, RestoreFaces] = {}

    async def fetch(self, ref: SourceRef) -> SourceBytes:
        self.taken.append("fetch")
        return SourceBytes(b"file", "00" * 32)

    async def decode(self, source: SourceBytes) -> Decoded:
        self.taken.append("decode")
        return Decoded(self.raster, ("icc_ignored",))

    def sizes(self, raster: Raster) -> Sequence[Size]:
        return self.planned or [target_size(raster.width, raster.height, 2.0)]

    def divide(self, raster: Raster) -> Tiling:
        self.taken.append("divide")
        return divide(raster, pad=1, sides=(4, 8))

    async def infer(self, tiling: Tiling) -> Sequence[Pixels]:
        self.taken.append("infer")
        return [tile.repeat(2, axis=0).repeat(2, axis=1) for tile in tiling.tiles]

    def assemble(self, tiling: Tiling, tiles: Sequence[Pixels], size: Size) -> Raster:
        self.taken.append("assemble")
        return assemble(tiling, tiles, size, native_scale=2)

    def faces(self, order: FaceOrder) -> RestoreFaces | None:
        return self.restoring.get(order)

    def encode(self, raster: Raster) -> EncodedImage:
        self.taken.append("encode")
        self.result = raster
        return EncodedImage(b"png", OutputFormat.PNG, raster.width, raster.height, ("depth_reduced",))

    async def store(self, image: EncodedImage, source: SourceFacts) -> StoredObject:
        self.taken.append("store")
        return StoredObject("b", "k", "ab" * 32, len(image.data), image.format, image.width, image.height, source)

    async def off_loop(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)


class Watched(SourceBytes):
    """Can be referred to weakly."""


class Forgetful(Path):
    """Keeps nothing of what passes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, weakref.ref[object]]] = []
        self.alive_while_storing: list[str] = []

    def watch(self, what: str, each: object) -> None:
        self.seen.append((what, weakref.ref(each)))

    async def fetch(self, ref: SourceRef) -> SourceBytes:
        source = Watched(b"file", "00" * 32)
        self.watch("source", source)
        return source

    async def decode(self, source: SourceBytes) -> Decoded:
        raster = Raster(self.raster.pixels.copy())
        self.watch("decoded", raster.pixels)
        return Decoded(raster, ())

    async def restore(self, source: Raster, picture: Raster) -> Raster:
        restored = Raster(picture.pixels.copy())
        self.watch("restored", restored.pixels)
        return restored

    async def infer(self, tiling: Tiling) -> Sequence[Pixels]:
        tiles = await super().infer(tiling)
        self.watch("tile", tiles[0])
        return tiles

    def assemble(self, tiling: Tiling, tiles: Sequence[Pixels], size: Size) -> Raster:
        raster = super().assemble(tiling, tiles, size)
        self.watch("assembled", raster.pixels)
        return raster

    def encode(self, raster: Raster) -> EncodedImage:
        return EncodedImage(b"png", OutputFormat.PNG, raster.width, raster.height)

    async def store(self, image: EncodedImage, source: SourceFacts) -> StoredObject:
        self.alive_while_storing = [what for what, each in self.seen if each() is not None]
        return await super().store(image, source)


async def test_upscale_takes_the_steps_in_the_order_of_the_diagram() -> None:
    """The path is what the house says it is, and each stage's time is kept for the job's log line."""
    path, work = Path(), job()
    done = await upscale(work, path)
    assert path.taken == ["fetch", "decode", "divide", "infer", "assemble", "encode", "store"]
    assert list(work.timings.seconds) == [
        Stage.FETCH,
        Stage.DECODE,
        Stage.TILE,
        Stage.BATCH,
        Stage.STITCH,
        Stage.ENCODE,
        Stage.STORE,
    ]
    assert (done.source.width, done.source.height) == (7, 5)
    assert (done.width, done.height) == (14, 10)


async def test_upscale_puts_every_pixel_where_it_belongs() -> None:
    """With a network that repeats pixels, the result is the picture with its pixels repeated."""
    path = Path()
    await upscale(job(), path)
    assert path.result is not None
    assert np.array_equal(path.result.pixels, path.raster.pixels.repeat(2, axis=0).repeat(2, axis=1))


async def test_upscale_runs_the_network_over_its_own_result_where_it_is_planned() -> None:
    """Each pass cuts, upscales and puts together anew; source facts stay those of the source."""
    path = Path()
    path.planned = [(14, 10), (28, 20)]
    done = await upscale(job(), path)
    assert path.taken == ["fetch", "decode", *["divide", "infer", "assemble"] * 2, "encode", "store"]
    assert (done.source.width, done.source.height) == (7, 5)
    assert path.result is not None
    assert np.array_equal(path.result.pixels, path.raster.pixels.repeat(4, axis=0).repeat(4, axis=1))


async def test_upscale_holds_neither_source_nor_pixels_while_the_result_is_stored() -> None:
    """It waits there for as long as the store is away, with as many jobs as a worker takes."""
    path = Forgetful()
    path.planned = [(14, 10), (28, 20)]
    path.restoring = dict.fromkeys(FaceOrder, path.restore)
    await upscale(job(), path)
    assert len(path.seen) == 8
    assert path.alive_while_storing == []


async def test_upscale_tells_the_warnings_of_decoding_and_of_encoding() -> None:
    """Nothing that was left out goes unmentioned."""
    done = await upscale(job(), Path())
    assert done.source.warnings == ("icc_ignored", "depth_reduced")


async def test_upscale_stores_nothing_when_a_step_fails() -> None:
    """A wrong picture is worse than a failed job."""
    path = Path()

    async def fail(tiling: Tiling) -> Sequence[Pixels]:
        raise JobFailed(FailureCode.DEVICE_OUT_OF_MEMORY, "no memory")

    path.infer = fail  # type: ignore[method-assign]
    with pytest.raises(JobFailed, match="no memory"):
        await upscale(job(), path)
    assert "store" not in path.taken


@pytest.mark.parametrize("order", FaceOrder)
async def test_faces_are_a_step_where_they_are_asked_for(order: FaceOrder) -> None:
    """On the source before it is cut, or on the upscaled picture, whose faces are looked for in the source."""
    path, work = Path(), job()
    sizes: list[tuple[int, int]] = []

    async def restore(source: Raster, picture: Raster) -> Raster:
        path.taken.append("faces")
        sizes.append((source.width, picture.width))
        return Raster(np.zeros_like(picture.pixels))

    path.restoring = {order: restore}
    await upscale(work, path)
    expected = ["fetch", "decode", "divide", "infer", "assemble", "encode", "store"]
    before = order is FaceOrder.BEFORE
    expected.insert(2 if before else 5, "faces")
    assert path.taken == expected
    assert sizes == [(7, 7 if before else 14)]
    assert work.timings.seconds[Stage.FACE] > 0
    assert path.result is not None
    assert not path.result.pixels.any()
