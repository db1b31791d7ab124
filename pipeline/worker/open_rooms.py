"""Opens the rooms of the data path, and sees that the device in them computes what it should."""

import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

import structlog

from pipeline.batching.batch import Batcher
from pipeline.errors import JobFailed
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.models.catalog import find
from pipeline.imaging.header import Limits
from pipeline.lifecycle import Exit
from pipeline.settings import ImageSettings, Settings
from pipeline.storage import client as storage
from pipeline.storage.fetch import open_fetch
from pipeline.telemetry import metrics
from pipeline.worker.announce import Announcer
from pipeline.worker.breaker import Breaker
from pipeline.worker.budget import Budget
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.rooms import Rooms, launch
from schemas.options import DEFAULT_MODEL

log = structlog.get_logger()

PIXEL_THREADS = 2
"""For cutting, putting together and encoding; numpy and the encoders let go of the interpreter meanwhile. Beside a GPU,
which enlarges faster than two of them encode, half of the processors where that is more."""


@asynccontextmanager
async def open_rooms(
    config: Settings, device: DeviceLane, announcer: Announcer, breaker: Breaker
) -> AsyncIterator[Rooms]:
    """The rooms of the data path. The store is asked first: what is not there is told before anything is loaded."""
    profile, share = device.profile, config.intake.tenant_share
    with ThreadPoolExecutor(pixel_threads(profile, _processors()), "pixels") as threads:
        async with (
            storage.connect(config.store) as store,
            open_fetch(store, config.fetch) as fetch,
            _decoders(config.image) as decoders,
            device as lane,
            Batcher(partial(launch, lane), lane.batch_limit, slots=profile.launches) as batcher,
        ):
            await storage.check(store)
            yield Rooms(
                fetch=fetch,
                decoders=decoders,
                lane=lane,
                batcher=batcher,
                store=store,
                store_breaker=breaker,
                announcer=announcer,
                threads=threads,
                bytes=Budget(config.intake.max_bytes, metrics.IN_FLIGHT_BYTES.set, tenant_share=share),
                pixels=Budget(config.intake.max_pixels, metrics.IN_FLIGHT_PIXELS.set, tenant_share=share),
                fetching=config.fetch,
                limits=config.image,
            )


def pixel_threads(profile: DeviceProfile, processors: int) -> int:
    """How many threads work on pixels outside the device."""
    return PIXEL_THREADS if profile.device == "cpu" else max(PIXEL_THREADS, processors // 2)


def _processors() -> int:
    """Those that this process may use, where the system tells; macOS has the others only."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decoders(image: ImageSettings) -> DecoderPool:
    return DecoderPool(
        image.decoder_processes,
        Limits(image.max_pixels, image.max_side, image.min_side, image.max_aspect),
        timeout_seconds=image.decode_timeout_seconds,
        memory_bytes=image.decode_memory_bytes,
    )


async def tested(lane: DeviceLane) -> bool:
    """Whether the device computes what it should, and has the memory for it.

    Raises `JobFailed` when there is nothing to try it with, which no new start changes.
    """
    try:
        await lane.self_test(find(DEFAULT_MODEL).name)
    except JobFailed as error:
        if not error.kind.retryable:
            raise
        log.critical("self_test_failed", code=error.code, reason=error.message)
        return False
    return True


def leave_hung(lane: DeviceLane) -> None:
    """End the process where a launch has never ended: Python would wait for its thread. The last thing to be done."""
    if lane.hung:
        log.critical("device_hangs", device=lane.profile.name)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(Exit.INTERNAL)
