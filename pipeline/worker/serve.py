"""Work until a signal says stop, or until something is lost for good; then drain."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import structlog

from pipeline.errors import ServiceUnreachable
from pipeline.gpu.lane import DeviceLane
from pipeline.lifecycle import Exit, Lifecycle, signals
from pipeline.worker.loop import Worker

log = structlog.get_logger()

Companion = Coroutine[Any, Any, None]
"""Something that runs beside the worker for as long as it works. Leaving it in the middle loses nothing."""


async def serve(
    worker: Worker,
    lane: DeviceLane,
    life: Lifecycle,
    *,
    drain_seconds: float,
    companions: Mapping[str, Companion] | None = None,
) -> Exit:
    """How the process ends. Raises what the worker raises, but for the loss of a service."""
    working = asyncio.create_task(worker.run())
    stopping = asyncio.create_task(life.stopping())
    beside = [
        asyncio.create_task(_fail_with(lane, life)),
        *(asyncio.create_task(_beside(name, companion, life)) for name, companion in (companions or {}).items()),
    ]
    try:
        with signals(life.signal):
            life.ready()
            log.info("worker_ready", device=lane.profile.name, precision=lane.profile.precision)
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await life.drain(_ended(working), stop_intake=worker.stop, seconds=drain_seconds)
    except ServiceUnreachable as lost:
        log.critical("service_lost", reason=str(lost))
        return Exit.INTERNAL
    finally:
        for task in (stopping, *beside):
            task.cancel()
        await asyncio.gather(stopping, *beside, return_exceptions=True)


async def _fail_with(lane: DeviceLane, life: Lifecycle) -> None:
    """A device may die while draining too: its jobs are given up then, which must not be called clean."""
    await lane.failed.wait()
    life.fail("the device stopped working")


async def _beside(name: str, companion: Companion, life: Lifecycle) -> None:
    """Without its companions a worker would look well and forget jobs that wait, or callers who call off."""
    try:
        await companion
    except Exception as error:
        log.exception("companion_ended", name=name)
        life.fail(f"{name} ended: {type(error).__name__}")


async def _ended(working: "asyncio.Task[None]") -> None:
    await working
