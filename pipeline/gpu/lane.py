"""DeviceLane: owns the device, and computes on threads of its own.

One thread, so that launches follow one another; on a CPU one for each launch that the profile has side by side. Models
are loaded once, and the event loop never computes: torch releases the GIL while it does. Every call is answered: with
a result, with the job's failure, or, once the device is dead or the lane is closing, with `DEVICE_FAILED`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Self, TypeVar

import structlog
import torch

from pipeline.batching.work import TileBatch, TilePixels
from pipeline.errors import JobFailed
from pipeline.gpu import selftest
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.face import find_faces
from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.shrink import attempt, out_of_memory, within_memory
from pipeline.imaging.faces import Face
from pipeline.imaging.raster import Pixels
from pipeline.telemetry import metrics
from schemas.failures import FailureCode

Answer = TypeVar("Answer")

log = structlog.get_logger()


class DeviceLane:
    """Runs batches one after another. Enter it before use; leaving it answers all who still wait."""

    def __init__(self, profile: DeviceProfile, load: Callable[[str], LoadedModel]) -> None:
        self.profile = profile
        self.failed = asyncio.Event()
        """Set when the device is dead. Nothing revives it: the process should drain and exit non-zero."""
        self._load = load
        self._models: dict[str, LoadedModel] = {}
        self._closed_because: str | None = None
        self._loading = Lock()
        self._threads = ThreadPoolExecutor(profile.launches, "device", partial(_own_device, profile))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed_because = self._closed_because or "the worker is shutting down"
        # The launch under way ends by itself; those behind it find the lane closed, and their waiters are told.
        await asyncio.to_thread(self._threads.shutdown)
        self._models.clear()

    @property
    def closed(self) -> bool:
        """Whether the device is dead or the lane is closing, known at the latest when the first call fails for it.

        `failed` follows a turn of the event loop later, since only the loop may set it.
        """
        return self._closed_because is not None

    async def run(self, batch: TileBatch) -> list[TilePixels]:
        """The upscaled tiles, in the batch's order. Raises `JobFailed`. A cancelled call that waits is not launched."""
        return await self._in_thread(partial(self._launch, batch))

    async def find_faces(self, name: str, pixels: Pixels) -> tuple[Face, ...]:
        """The faces in (height, width, 3) uint8 RGB by a model that finds them, surest first. Raises `JobFailed`."""
        return await self._in_thread(lambda: self._found(self._model(name), pixels))

    async def prepare(self, name: str) -> LoadedModel:
        """Load a model, by the catalog's own name, before it is needed; or look it up. Raises `JobFailed`."""
        if name in self._models:
            self._refuse_when_closed()
            return self._models[name]
        return await self._in_thread(partial(self._model, name))

    async def self_test(self, name: str) -> None:
        """Compute a known answer with a model of the catalog. A wrong one counts as a dead device."""
        await self._in_thread(lambda: selftest.check(self._model(name), self.profile.device))

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        self._refuse_when_closed()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._guarded, work, loop)

    def _guarded(self, work: Callable[[], Answer], loop: asyncio.AbstractEventLoop) -> Answer:
        self._refuse_when_closed()
        try:
            with torch.inference_mode():
                return work()
        except JobFailed:
            raise
        except Exception as error:
            # After a CUDA fault every later call fails or, worse, gives garbage. There is no safe way on.
            log.exception("device_failed", device=self.profile.name)
            self._closed_because = "the device stopped working"
            loop.call_soon_threadsafe(self.failed.set)
            raise JobFailed(FailureCode.DEVICE_FAILED, self._closed_because) from error

    def _refuse_when_closed(self) -> None:
        if self._closed_because:
            raise JobFailed(FailureCode.DEVICE_FAILED, self._closed_because)

    def _model(self, name: str) -> LoadedModel:
        with self._loading:
            if name not in self._models:
                self._models[name] = self._load(name)
                log.info("model_loaded", model=name, weights_sha256=self._models[name].weights_sha256)
            return self._models[name]

    def _found(self, model: LoadedModel, pixels: Pixels) -> tuple[Face, ...]:
        found = attempt(lambda: find_faces(model, pixels, self.profile.device))
        if found is None:
            raise out_of_memory(pixels.shape[0], pixels.shape[1])
        return found

    def _launch(self, batch: TileBatch) -> list[TilePixels]:
        model = self._model(batch.key.model)
        started = perf_counter()
        tiles = within_memory(lambda part: infer(model, part, self.profile.device), batch.tiles, model.spec)
        name = model.spec.name
        metrics.BATCH_SECONDS.labels(name).observe(perf_counter() - started)
        metrics.BATCH_TILES.labels(name).observe(len(tiles))
        metrics.BATCH_JOBS.labels(name).observe(batch.jobs)
        metrics.TILES.labels(name).inc(len(tiles))
        return tiles


def _own_device(profile: DeviceProfile) -> None:
    """First thing the thread does. The number of threads is a property of the calling thread in OpenMP."""
    torch.set_num_threads(profile.threads)
    # Otherwise CUDA rounds float32 convolutions to 10 bits of mantissa, and `fp32` would not mean it.
    torch.backends.cudnn.allow_tf32 = False
