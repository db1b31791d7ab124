"""The rooms of one worker, and what a job computes in them."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from opentelemetry.context import get_current

from pipeline.batching.batch import Batcher
from pipeline.batching.queue import Progress
from pipeline.batching.work import BatchKey, TileBatch, TilePixels, TileWork
from pipeline.errors import JobFailed
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import ModelFacts
from pipeline.settings import FetchSettings, ImageSettings
from pipeline.storage.client import Store
from pipeline.storage.fetch import Fetch
from pipeline.telemetry import tracing
from pipeline.telemetry.stage import stage
from pipeline.worker.announce import Announcer
from pipeline.worker.breaker import Breaker
from pipeline.worker.budget import Budget
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.intake import Job
from schemas.failures import FailureCode
from schemas.stages import Stage


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms of one worker, open."""

    fetch: Fetch
    decoders: DecoderPool
    lane: DeviceLane
    batcher: Batcher
    store: Store
    store_breaker: Breaker
    announcer: Announcer
    threads: Executor
    """For what computes on pixels outside the device."""
    bytes: Budget
    pixels: Budget
    fetching: FetchSettings
    limits: ImageSettings

    async def compute(
        self, job: Job, key: BatchKey, tiles: Sequence[TilePixels], facts: ModelFacts, told: Progress | None = None
    ) -> Sequence[TilePixels]:
        """A network over tiles of a job, through the batcher and as urgent as the job is; one answer for each.

        Raises `JobFailed`, also when the network is not the one of these `facts` any more: a result says what made it.
        """
        work = TileWork(key, tuple(tiles), job.lane, job.request.tenant, job.deadline, get_current())
        answers = await self.batcher.submit(work, on_progress=told)
        if not self.lane.still(key.model, facts):
            raise JobFailed(FailureCode.INTERNAL, "the weights of a model were replaced while the job was upscaled")
        return answers


async def launch(lane: DeviceLane, batch: TileBatch) -> list[TilePixels]:
    """One launch, timed as a stage and linked to the traces of all jobs in it."""
    with stage(Stage.INFER), tracing.batch_span(batch.key.model, len(batch.tiles), batch.traces):
        return await lane.run(batch)
