"""Run the loops of the dispatcher until a signal says stop, or until one of them ends by itself; then drain."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from pipeline.errors import ServiceUnreachable
from pipeline.lifecycle import Exit, Lifecycle, signals

log = structlog.get_logger()

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, and then ends what it has in hand."""


async def serve(loops: Mapping[str, Loop], life: Lifecycle, *, drain_seconds: float) -> Exit:
    """How the process ends. Any loop that ends before its time takes the others along."""
    stopping = asyncio.Event()
    running = [asyncio.create_task(_watched(name, loop, stopping, life)) for name, loop in loops.items()]
    try:
        with signals(life.signal):
            life.ready()
            log.info("dispatcher_ready")
            await life.stopping()
            return await life.drain(_all(running), stop_intake=stopping.set, seconds=drain_seconds)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _watched(name: str, loop: Loop, stopping: asyncio.Event, life: Lifecycle) -> None:
    try:
        await loop(stopping)
    except ServiceUnreachable as lost:
        log.critical("service_lost", reason=str(lost))
        life.fail(str(lost))
    except Exception as error:
        log.exception("loop_ended", name=name)
        life.fail(f"{name} ended: {type(error).__name__}")


async def _all(running: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*running)
