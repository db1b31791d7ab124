"""The rooms of a worker without broker, store, network or device: they do what each job's script says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from botocore.exceptions import ClientError
from pydantic import SecretStr

from pipeline.batching.batch import Batcher
from pipeline.batching.work import TileBatch, TilePixels
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import ModelFacts
from pipeline.gpu.models import catalog
from pipeline.imaging.decode import Decoded
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels, Raster
from pipeline.kafka.records import Position
from pipeline.settings import FetchSettings, ImageSettings, StoreSettings
from pipeline.storage.client import S3, Store
from pipeline.storage.jobs import Begun, JobKey
from pipeline.storage.objects import SourceBytes, SourceRef
from pipeline.worker.announce import Announcer
from pipeline.worker.breaker import Breaker
from pipeline.worker.budget import Budget
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.intake import Job
from pipeline.worker.rooms import Rooms
from schemas.events import JobEvent, UpscaleRequested
from schemas.failures import FailureCode
from schemas.options import UpscaleOptions
from schemas.stages import Stage
from schemas.topics import Lane
from tests.support.networks import NAME, SCALE, cpu_profile, tiny_model

SIDE = 4
"""Of a picture, pixels."""
BEGUN = Begun(JobKey("acme", "job"), "version", starts=1)
"""A job that nobody has begun before."""
FOR_FACES = ("gfpgan-v1.4", "parsenet")
"""Networks that give back as much as they take."""
MAX_BYTES = 100
MAX_PIXELS = 50


@dataclass(frozen=True, slots=True)
class Script:
    """What becomes of one job: how long each stage takes, in seconds of the loop, and what some raise in the end."""

    seconds: Mapping[Stage, float] = field(default_factory=dict)
    errors: Mapping[Stage, Exception] = field(default_factory=dict)
    side: int = SIDE
    """Of its picture, pixels."""


def make_job(
    number: int = 1, *, deadline: float | None = None, lane: Lane = Lane.INTERACTIVE, **options: object
) -> Job:
    """A job whose number follows its picture through all stages; `deadline` is on the loop's clock."""
    source = f"https://example.com/job-{number}"
    request = UpscaleRequested(
        job_id=f"job-{number}",
        tenant="acme",
        source=source,
        options=UpscaleOptions.model_validate({"model": NAME, **options}),
        labels={"album": "7"},
    )
    position = Position(f"requests.{lane}", 0, number, epoch=1)
    restorer = catalog.find(request.options.faces.model) if request.options.face_enhance else None
    return Job(
        request,
        SourceRef("https", source),
        catalog.find(NAME),
        lane,
        position,
        started=0.0,
        deadline=deadline,
        restorer=restorer,
    )


class ScriptedLane:
    """A device that is well until `die`."""

    def __init__(self) -> None:
        self.profile = cpu_profile()
        self.failed = asyncio.Event()
        self.closed = False
        self.prepared = self.launched = tiny_model().facts
        """What a job is told of its model, and what its launches are made with."""
        self.faces: tuple[Face, ...] = ()
        """Those that it finds in every picture."""
        self.looked_for_faces = 0

    async def prepare(self, key: str) -> ModelFacts:
        return self.prepared

    def still(self, key: str, facts: ModelFacts) -> bool:
        return facts == self.launched

    async def find_faces(self, name: str, pixels: Pixels) -> tuple[Face, ...]:
        self.looked_for_faces += 1
        return self.faces

    def die(self) -> None:
        self.closed = True
        self.failed.set()


class MemoryStore:
    """As much of an object store as storing a result takes; the first writer's object stands."""

    def __init__(self, act: Callable[[str, Stage], Any]) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self._act = act

    async def put_object(self, **parameters: Any) -> dict[str, Any]:
        key = parameters["Key"]
        await self._act(key.split("/")[2], Stage.STORE)
        if key in self.objects:
            raise _refused(412, "PreconditionFailed")
        body = parameters["Body"].read()
        self.objects[key] = {"Metadata": parameters["Metadata"], "ContentLength": len(body), "Body": body}
        return {"ChecksumSHA256": parameters["ChecksumSHA256"]}

    async def head_object(self, **parameters: Any) -> dict[str, Any]:
        if parameters["Key"] not in self.objects:
            raise _refused(404, "404")
        return self.objects[parameters["Key"]]


class ScriptedRooms:
    """All rooms, and what was seen of them. Use `open`."""

    def __init__(self, scripts: Mapping[int, Script]) -> None:
        self.scripts = {f"job-{number}": script for number, script in scripts.items()}
        self.lane = ScriptedLane()
        self.store = MemoryStore(self._act)
        self.begun: list[tuple[str, Stage]] = []
        self.cancelled: list[tuple[str, Stage]] = []
        self.announced: list[JobEvent] = []
        self.batches: list[TileBatch] = []
        self.kept_exif: list[bool] = []
        self.bytes: list[int] = [0]
        """In use after each change."""
        self.pixels: list[int] = [0]

    @asynccontextmanager
    async def open(self, *, limits: ImageSettings | None = None, budget: int = 1) -> AsyncIterator[Rooms]:
        """The rooms; `budget` is how many of the largest jobs they hold at a time."""
        now = asyncio.get_running_loop().time
        async with (
            AsyncExitStack() as stack,
            Announcer(self._say, now) as announcer,
            Batcher(self._launch, lambda key: 2, now=now) as batcher,
        ):
            threads = stack.enter_context(ThreadPoolExecutor(1))
            yield Rooms(
                fetch=self._fetch,
                decoders=cast("DecoderPool", self),
                lane=cast("DeviceLane", self.lane),
                batcher=batcher,
                store=Store(cast("S3", self.store), StoreSettings(access_key="key", secret_key=SecretStr("hidden"))),
                store_breaker=Breaker("object store", FailureCode.STORE_UNAVAILABLE, changed=lambda: None),
                announcer=announcer,
                threads=threads,
                bytes=Budget(budget * MAX_BYTES, self.bytes.append),
                pixels=Budget(budget * MAX_PIXELS, self.pixels.append),
                fetching=FetchSettings(max_bytes=MAX_BYTES),
                limits=limits or ImageSettings(max_pixels=MAX_PIXELS),
            )

    async def decode(self, data: bytes, *, keep_exif: bool) -> Decoded:
        """In place of the decoder pool's."""
        job = data.decode()
        self.kept_exif.append(keep_exif)
        await self._act(job, Stage.DECODE)
        side = self.scripts.get(job, Script()).side
        return Decoded(Raster(np.full((side, side, 3), _number(job), np.uint8)), ())

    async def _fetch(self, ref: SourceRef) -> SourceBytes:
        job = ref.url.rpartition("/")[2]
        await self._act(job, Stage.FETCH)
        return SourceBytes(job.encode(), "00" * 32)

    async def _launch(self, batch: TileBatch) -> Sequence[TilePixels]:
        self.batches.append(batch)
        for job in sorted({f"job-{tile[0, 0, 0]}" for tile in batch.tiles}):
            await self._act(job, Stage.INFER)
        scale = 1 if batch.key.model in FOR_FACES else SCALE
        return [tile.repeat(scale, axis=0).repeat(scale, axis=1) for tile in batch.tiles]

    async def _say(self, event: JobEvent) -> None:
        self.announced.append(event)

    async def _act(self, job: str, stage: Stage) -> None:
        self.begun.append((job, stage))
        script = self.scripts.get(job, Script())
        with self._noting_cancellation(job, stage):
            await asyncio.sleep(script.seconds.get(stage, 0.0))
        if stage in script.errors:
            raise script.errors[stage]

    @contextmanager
    def _noting_cancellation(self, job: str, stage: Stage) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled.append((job, stage))
            raise


def _number(job: str) -> int:
    return int(job.removeprefix("job-"))


def _refused(status: int, code: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutObject")
