"""One record to where it belongs: done and told, handed on, or parked. When it is there its offset may be committed.

The order is what the guarantee rests on. The result is stored before the job is ended, the job is ended before the
event is said, the broker has the event before the offset moves; and a retry or a dead letter is acknowledged before any
of that. A crash between two of them repeats the later ones, to the same effect.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from pipeline.errors import CalledOff, JobFailed, ShuttingDown
from pipeline.kafka.deadletter import Why
from pipeline.kafka.publish import MessageTooLarge
from pipeline.kafka.records import Received
from pipeline.kafka.retry import History, history
from pipeline.storage.jobs import Begun, Busy, JobKey, Suspect, WornOut
from pipeline.telemetry import metrics
from pipeline.telemetry.stage import stage
from pipeline.worker import outcome
from pipeline.worker.claims import Held
from pipeline.worker.intake import Job, Refused, Undecodable
from pipeline.worker.outcome import Done
from pipeline.worker.running import Running
from pipeline.worker.stop_rule import StopRule
from pipeline.worker.verdict import Again, Over, leased, verdict, worn_out
from schemas.events import Event, JobEvent, UpscaleRequested, UpscaleStarted
from schemas.failures import FailureCode
from schemas.stages import Stage
from schemas.topics import Lane

log = structlog.get_logger()

NOT_SETTLED = "not_settled"
"""Reason of a dead letter that names a job whose end could not be told; the detail begins with the failure code."""


class ClaimsPort(Protocol):
    """What we need of `Claims`."""

    async def begin(self, key: JobKey, *, alone: bool = False) -> Begun | Busy | Suspect | WornOut | Event: ...
    def hold(self, begun: Begun) -> AbstractAsyncContextManager[Held]: ...
    async def end(self, key: JobKey, event: JobEvent, held: Held | None = None) -> Event: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What settling acts through. All but `do` and `announce` return when it has happened, however long it takes."""

    claims: ClaimsPort
    do: Callable[[Job, Begun], Awaitable[Done]]
    """Raises `JobFailed` when the job cannot be done, `CalledOff`, and `ShuttingDown` when we cannot do it."""
    say: Callable[[Event], Awaitable[None]]
    hand_on: Callable[[Received, Again], Awaitable[None]]
    park: Callable[[Received, Why], Awaitable[None]]
    announce: Callable[[JobEvent], None]
    """Publish without waiting; may be lost."""
    now: Callable[[], float]
    """Monotonic seconds."""
    able: Callable[[], bool]
    """Whether the device that jobs are done on is alive."""
    suspects: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a job is worked on for the last time."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a record was settled."""

    parked: bool = False
    """Through our own fault, as the stop rule counts."""


Accept = Callable[[Received], Job | Refused | Undecodable]
"""Understands a record; contacts nothing."""


class Handling:
    """What the worker does with a record: understand it and settle it, but no job twice at a time.

    `stop` is told the reason when too many jobs end parked.
    """

    def __init__(
        self, accept: Accept, ports: Ports, running: Running, rule: StopRule, stop: Callable[[str], None]
    ) -> None:
        self._accept = accept
        self._ports = ports
        self._running = running
        self._rule = rule
        self._stop = stop

    async def __call__(self, received: Received) -> None:
        try:
            settled = await self._settled(received)
        except ShuttingDown:
            raise
        except Exception as error:
            log.exception("record_not_settled", origin=received.position.origin)
            settled = await self._set_aside(received, outcome.failure(error))
        if reason := self._rule.ended(parked=settled.parked):
            log.critical("stopping", reason=reason)
            self._stop(reason)

    async def _set_aside(self, received: Received, error: JobFailed) -> Settled:
        """What goes wrong outside of a job's own work would go wrong again, here and in every worker after this one.

        It is tried again from the retry topics, and then parked without an end that could be told. So is at once what
        no retry topic takes: its sender may have left no room for our headers.
        """
        ended = verdict(error, history(received.headers), None)
        ours = True
        if isinstance(ended, Again):
            try:
                await self._ports.hand_on(received, ended)
                return Settled()
            except MessageTooLarge as too_large:
                error, ours = too_large, False
        await self._ports.park(received, Why(NOT_SETTLED, f"{error.code}: {error.message}"))
        return Settled(parked=ours)

    async def _settled(self, received: Received) -> Settled:
        accepted = self._accept(received)
        if isinstance(accepted, Job):
            key = key_of(accepted.request, received)
            return await self._running.once(key, lambda: settle(received, accepted, self._ports), twin=Settled())
        return await settle(received, accepted, self._ports)


def key_of(request: UpscaleRequested, received: Received) -> JobKey:
    """The job that a record asks for."""
    return JobKey(request.tenant, request.job_id, history(received.headers).replay)


async def settle(received: Received, accepted: Job | Refused | Undecodable, ports: Ports) -> Settled:
    """Raises `ShuttingDown` when the record must stay uncommitted."""
    match accepted:
        case Undecodable():
            await ports.park(received, Why(accepted.reason, accepted.detail))
            return Settled()
        case Refused():
            return await _refuse(received, accepted, ports)
        case Job():
            with structlog.contextvars.bound_contextvars(job_id=accepted.request.job_id):
                return await _settle_job(received, accepted, ports)


async def _refuse(received: Received, refused: Refused, ports: Ports) -> Settled:
    started = ports.now()
    key = key_of(refused.request, received)
    if refused.error.code is FailureCode.INTERNAL:
        # Not counted against this worker: any caller could send what our code stumbles over, and so stop them all.
        await ports.park(received, Why(str(refused.error.code), refused.error.message))
    event = await ports.claims.end(key, outcome.failed(refused.request, refused.error))
    await ports.say(event)
    conclude(event, received.lane, ports.now() - started)
    return Settled()


async def _settle_job(received: Received, job: Job, ports: Ports, *, alone: bool = False) -> Settled:
    if not ports.able():
        # What waited its turn behind the job that the device died of must not be counted as begun.
        raise ShuttingDown("the device stopped working")
    past = history(received.headers)
    key = key_of(job.request, received)
    match await ports.claims.begin(key, alone=alone):
        case Suspect():
            async with ports.suspects:
                return await _settle_job(received, job, ports, alone=True)
        case Busy():
            await ports.hand_on(received, leased(past))
            return Settled()
        case WornOut() as worn:
            return await _finish(received, job, key, worn_out(worn.starts), None, ports)
        case Event() as event:
            # It has ended, and whether its event was acknowledged then is not known.
            await ports.say(event)
            log.info("job_told_again", type=event.type)
            return Settled()
        case Begun() as begun:
            async with ports.claims.hold(begun) as held:
                return await _attempt(received, job, past, held, ports)


async def _attempt(received: Received, job: Job, past: History, held: Held, ports: Ports) -> Settled:
    ended = await _work(job, past, held, ports)
    if isinstance(ended, Again):
        await ports.hand_on(received, ended)
        log.warning("job_handed_on", reason=ended.reason, tier=ended.tier.name, attempt=ended.attempt)
        return Settled()
    return await _finish(received, job, key_of(job.request, received), ended, held, ports)


async def _work(job: Job, past: History, held: Held, ports: Ports) -> Again | Over | JobEvent:
    request = job.request
    ports.announce(UpscaleStarted(job_id=request.job_id, tenant=request.tenant, labels=request.labels))
    if held.begun is None:
        raise ShuttingDown("another worker has taken the job")
    try:
        done = await ports.do(job, held.begun)
        return outcome.completed(request, done, ports.now() - job.started)
    except CalledOff:
        return outcome.canceled(request)
    except ShuttingDown:
        raise
    except Exception as error:
        failure = outcome.failure(error)
        if failure.code is FailureCode.INTERNAL:
            log.exception("job_crashed")
        left = None if job.deadline is None else job.deadline - ports.now()
        return verdict(failure, past, left)


async def _finish(
    received: Received, job: Job, key: JobKey, ended: Over | JobEvent, held: Held | None, ports: Ports
) -> Settled:
    """End the job for good and say so. What is parked is parked first: after the end nobody would come back to it."""
    parked = isinstance(ended, Over) and ended.parked
    if isinstance(ended, Over):
        if ended.parked:
            await ports.park(received, Why(str(ended.error.code), ended.error.message))
        ended = outcome.failed(job.request, ended.error)
    event = await ports.claims.end(key, ended, held)
    with stage(Stage.PUBLISH, job.timings):
        await ports.say(event)
    conclude(event, received.lane, ports.now() - job.started, job)
    return Settled(parked)


def conclude(event: Event, lane: Lane, seconds: float, job: Job | None = None) -> None:
    """The canonical log line of a job, and its counts."""
    told = outcome.summary(event.data)
    model = job.model.name if job else "none"
    metrics.JOBS.labels(told["status"], told["code"], lane, model).inc()
    metrics.JOB_SECONDS.labels(lane).observe(seconds)
    timings = job.timings.fields() if job else {}
    log.info(
        "job", job_id=event.data.subject, lane=str(lane), model=model, seconds=round(seconds, 4), **told, **timings
    )
