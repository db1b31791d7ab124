"""DeviceLane: owns the device, and computes on threads of its own.

One thread, so that launches follow one another; on a CPU one for each launch that the profile has side by side. Models
are loaded when they are needed and stay while there is memory, and the event loop never computes: torch releases the
GIL while it does. Every call is answered: with a result, with the job's failure, or, once the device is dead or the
lane is closing, with `DEVICE_FAILED`.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic, perf_counter
from types import TracebackType
from typing import Self, TypeVar

import structlog
import torch

from pipeline.batching.work import BatchKey, TileBatch, TilePixels
from pipeline.errors import JobFailed
from pipeline.gpu import selftest
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.face import find_faces
from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel, ModelFacts
from pipeline.gpu.residents import Residents
from pipeline.gpu.shrink import attempt, out_of_memory, within_memory
from pipeline.gpu.threads import DeviceThreads
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

Answer = TypeVar("Answer")

STUCK_SECONDS = 300.0
"""A model may be read from a slow disk meanwhile; what takes longer will not end."""

log = structlog.get_logger()


class DeviceLane:
    """Runs batches one after another. Enter it before use; leaving it answers all who still wait."""

    def __init__(
        self,
        profile: DeviceProfile,
        load: Callable[[str], LoadedModel],
        *,
        now: Callable[[], float] = monotonic,
        closing_seconds: float = 15.0,
    ) -> None:
        self.profile = profile
        self.failed = asyncio.Event()
        """Set when the device is dead. Nothing revives it: the process should drain and exit non-zero."""
        self.hung = False
        """A launch had not ended when the lane was left: its thread keeps the process from ending by itself."""
        self._reclaim = partial(_reclaim, profile)
        self._models = Residents(load, profile.model_bytes, self._reclaim)
        self._fitted: dict[BatchKey, int] = {}
        """The largest launch that fitted, of windows for which the profile's turned out too large."""
        self._closed_because: str | None = None
        self._closing_seconds = closing_seconds
        self._threads = DeviceThreads(profile, now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed_because = self._closed_because or "the worker is shutting down"
        # The launch under way ends by itself; those behind it find the lane closed, and their waiters are told.
        self.hung = not await self._threads.close(self._closing_seconds)
        self._models.clear()

    @property
    def closed(self) -> bool:
        """Whether the device is dead or the lane is closing, known at the latest when the first call fails for it.

        `failed` follows a turn of the event loop later, since only the loop may set it.
        """
        return self._closed_because is not None

    def stuck(self) -> str | None:
        """A check for /live. A launch on a GPU takes seconds; on a CPU it ends, however long it takes."""
        seconds = self._threads.seconds()
        if self.profile.device == "cpu" or seconds <= STUCK_SECONDS:
            return None
        return f"a launch has not ended for {seconds:.0f} seconds"

    def batch_limit(self, key: BatchKey) -> int:
        """Most tiles of a launch: by the profile, in the network's own precision, and by what was seen to fit."""
        facts = self._models.last(key.model)
        limit = self.profile.batch_limit(key.height, key.width, facts.precision if facts else None)
        return min(limit, self._fitted.get(key, limit))

    async def run(self, batch: TileBatch) -> list[TilePixels]:
        """The upscaled tiles, in the batch's order. Raises `JobFailed`. A cancelled call that waits is not launched."""
        return await self._in_thread(partial(self._launch, batch))

    async def find_faces(self, key: str, pixels: Pixels) -> tuple[Face, ...]:
        """The faces in (height, width, 3) uint8 RGB by a model that finds them, surest first. Raises `JobFailed`."""
        return await self._in_thread(partial(self._found, key, pixels))

    async def prepare(self, key: str) -> ModelFacts:
        """Load a model, by its variant's key, before it is needed; or look it up. Raises `JobFailed`."""
        facts = self._models.facts(key)
        if facts is not None:
            self._refuse_when_closed()
            return facts
        return await self._in_thread(partial(self._facts, key))

    def still(self, key: str, facts: ModelFacts) -> bool:
        """Whether what was launched under this key since these facts were given had the weights that they name."""
        return self._models.still(key, facts)

    async def self_test(self, name: str) -> None:
        """Compute the known answer of a model of the catalog that has one. A wrong one counts as a dead device.

        Raises `ValueError` for a model without one: that the device computes something tells nothing.
        """
        if not selftest.knows(name):
            raise ValueError(f"{name}: no answer is known")
        await self._in_thread(partial(self._check, name))

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        self._refuse_when_closed()
        return await self._threads.run(partial(self._guarded, work, asyncio.get_running_loop()))

    def _guarded(self, work: Callable[[], Answer], loop: asyncio.AbstractEventLoop) -> Answer:
        self._refuse_when_closed()
        try:
            with torch.inference_mode():
                return work()
        except JobFailed:
            raise
        except Exception as error:
            if not self._is_dead(error):
                log.exception("launch_failed", device=self.profile.name)
                raise JobFailed(FailureCode.INTERNAL, "the network could not compute what it was given") from error
            # After a CUDA fault every later call fails or, worse, gives garbage. There is no safe way on.
            log.exception("device_failed", device=self.profile.name)
            self._closed_because = "the device stopped working"
            loop.call_soon_threadsafe(self.failed.set)
            raise JobFailed(FailureCode.DEVICE_FAILED, self._closed_because) from error

    def _is_dead(self, error: Exception) -> bool:
        reported = isinstance(error, torch.AcceleratorError | selftest.WrongAnswer)
        return reported or not selftest.computes(self.profile.device)

    def _refuse_when_closed(self) -> None:
        if self._closed_because:
            raise JobFailed(FailureCode.DEVICE_FAILED, self._closed_because)

    def _facts(self, key: str) -> ModelFacts:
        with self._models.using(key) as model:
            return model.facts

    def _check(self, name: str) -> None:
        with self._models.using(name) as model:
            selftest.check(model, self.profile.device)

    def _found(self, key: str, pixels: Pixels) -> tuple[Face, ...]:
        with self._models.using(key) as model:
            found = attempt(lambda: find_faces(model, pixels, self.profile.device), self._reclaim)
        if found is None:
            raise out_of_memory(pixels.shape[0], pixels.shape[1])
        return found

    def _launch(self, batch: TileBatch) -> list[TilePixels]:
        with self._models.using(batch.key.model) as model:
            started = perf_counter()
            fitted: list[int] = []

            def launch(part: Sequence[TilePixels]) -> list[TilePixels]:
                answers = infer(model, part, self.profile.device)
                fitted.append(len(part))
                return answers

            tiles = within_memory(launch, batch.tiles, model.spec, self._reclaim)
            if max(fitted) < len(batch.tiles):
                self._fitted[batch.key] = max(fitted)
            _count(model.spec.name, batch, perf_counter() - started)
            return tiles


def _count(name: str, batch: TileBatch, seconds: float) -> None:
    metrics.BATCH_SECONDS.labels(name).observe(seconds)
    metrics.BATCH_TILES.labels(name).observe(len(batch.tiles))
    metrics.BATCH_JOBS.labels(name).observe(batch.jobs)
    metrics.TILES.labels(name).inc(len(batch.tiles))


def _reclaim(profile: DeviceProfile) -> None:
    """torch keeps what was freed for itself, where neither a larger launch nor another process finds it whole."""
    if profile.device == "cuda":
        torch.cuda.empty_cache()
    elif profile.device == "mps":
        torch.mps.empty_cache()
