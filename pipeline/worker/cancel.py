"""Cancellations: every worker hears of all of them; who has the job ends it, and one that nobody has ends too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import structlog

from pipeline.errors import PipelineError
from pipeline.kafka.follow import Followed
from pipeline.patience import jittered_back_off
from pipeline.storage.jobs import JobKey
from pipeline.telemetry import metrics
from pipeline.worker import outcome
from pipeline.worker.claims import Claims
from pipeline.worker.running import Running
from schemas import codec
from schemas.events import CancelRequested, Event

log = structlog.get_logger()

Follow = Callable[[], AbstractAsyncContextManager[AsyncIterator[Followed]]]
"""The control topic from its start."""


async def listen(follow: Follow, cancel: Callable[[CancelRequested], Awaitable[None]]) -> None:
    """Carry out every cancellation, for ever. After an outage the topic is read again: repeats change nothing."""
    while True:
        try:
            async with follow() as records:
                async for record in records:
                    request = understood(record)
                    if request:
                        await cancel(request)
        except PipelineError as error:
            log.warning("control_lost", error=str(error))
        await asyncio.sleep(jittered_back_off())


def understood(record: Followed) -> CancelRequested | None:
    """The cancellation that a record is. Of others only log and metric tell: no job waits for them to be parked."""
    try:
        return codec.decode_only(CancelRequested, record.value, record.headers, origin=record.origin)
    except codec.UndecodableEvent as error:
        metrics.CONTROL_REFUSED.labels(error.reason).inc()
        log.warning("control_not_understood", origin=record.origin, reason=error.reason, detail=str(error))
        return None


async def cancel(
    request: CancelRequested, running: Running, claims: Claims, say: Callable[[Event], Awaitable[None]]
) -> None:
    """End the job here, or for everybody when nobody has it: whoever is handed its record then finds it ended."""
    if running.call_off(request.tenant, request.job_id):
        log.info("job_called_off", job_id=request.job_id)
        return
    event = await claims.call_off(JobKey(request.tenant, request.job_id), outcome.canceled(request))
    if event:
        await say(event)
        log.info("job_called_off", job_id=request.job_id)
