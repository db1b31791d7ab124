"""The worker's loop: take a record, do the job, tell the outcome, and only then let go of the record."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from pipeline.errors import JobFailed, ShuttingDown
from pipeline.kafka.records import Position, Received
from pipeline.telemetry import metrics, tracing
from pipeline.telemetry.stage import stage
from pipeline.worker import outcome
from pipeline.worker.intake import Job, Refused, Undecodable
from pipeline.worker.outcome import Done
from schemas.events import JobEvent, UpscaleStarted
from schemas.stages import Stage
from schemas.topics import Lane

log = structlog.get_logger()


class Records(Protocol):
    """Where records come from and are let go."""

    def lane(self, lane: Lane) -> AsyncIterator[Received]:
        """Records of one lane, until the consumer stops handing out."""

    def finish(self, position: Position) -> None:
        """The record needs no further work: its offset may be committed."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the loop acts through."""

    records: Records
    do: Callable[[Job], Awaitable[Done]]
    """Raises `JobFailed` when the job cannot be done."""
    say: Callable[[JobEvent], Awaitable[None]]
    """Publish and wait for the acknowledgement; raises `JobFailed` when there is none."""
    announce: Callable[[JobEvent], None]
    """Publish without waiting; may be lost."""
    park: Callable[[Received, Undecodable], Awaitable[None]]
    """Publish to the dead-letter topic and wait for the acknowledgement; raises as `say`."""
    pause: Callable[[int], Awaitable[None]]
    """Wait before the given repeat of an unacknowledged publish, counted from 1."""


Accept = Callable[[Received], Job | Refused | Undecodable]
"""Understands a record; contacts nothing."""


class Worker:
    """Runs jobs of all lanes side by side, at most `jobs_per_lane` of each."""

    def __init__(
        self,
        ports: Ports,
        accept: Accept,
        *,
        jobs_per_lane: int,
        now: Callable[[], float],
    ) -> None:
        self._ports = ports
        self._accept = accept
        self._now = now
        self._jobs_per_lane = jobs_per_lane
        self._taking: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Work until the records end or `stop` is called, and what is in hand is finished.

        Cancelling gives up what is in hand: it stays uncommitted and is handed out again elsewhere. Raises what the
        records raise when they end for a reason.
        """
        try:
            async with asyncio.TaskGroup() as jobs:
                self._taking = [jobs.create_task(self._take(lane, jobs)) for lane in Lane]
        except BaseExceptionGroup as group:
            # All lanes read from one consumer and end for the same reason; a group would hide what it is.
            raise group.exceptions[0] from group

    def stop(self) -> None:
        """Take no more records; `run` returns when those in hand are finished."""
        for taking in self._taking:
            taking.cancel()

    async def _take(self, lane: Lane, jobs: asyncio.TaskGroup) -> None:
        """A place is taken before a record is, so that a record never waits here while another worker is free."""
        places = asyncio.Semaphore(self._jobs_per_lane)
        records = aiter(self._ports.records.lane(lane))
        while True:
            await places.acquire()
            received = await anext(records, None)
            if received is None:
                return
            jobs.create_task(self._handle(received)).add_done_callback(lambda _: places.release())

    async def _handle(self, received: Received) -> None:
        metrics.IN_FLIGHT_JOBS.labels(received.lane).inc()
        try:
            with tracing.job_span(received.headers):
                await self._settle(received)
            self._ports.records.finish(received.position)
        except ShuttingDown as given_up:
            log.warning("job_given_up", origin=received.position.origin, reason=str(given_up))
        finally:
            metrics.IN_FLIGHT_JOBS.labels(received.lane).dec()

    async def _settle(self, received: Received) -> None:
        """Bring the record to its terminal state, acknowledged by the broker."""
        started = self._now()
        accepted = self._understood(received)
        match accepted:
            case Undecodable():
                await self._until_acknowledged(lambda: self._ports.park(received, accepted))
            case Refused():
                event = outcome.failed(accepted.request, accepted.error)
                await self._until_acknowledged(lambda: self._ports.say(event))
                self._conclude(event, received.lane, started)
            case Job():
                with structlog.contextvars.bound_contextvars(job_id=accepted.request.job_id):
                    event = await self._work(accepted)
                    with stage(Stage.PUBLISH, accepted.timings):
                        await self._until_acknowledged(lambda: self._ports.say(event))
                    self._conclude(event, received.lane, started, accepted)

    def _understood(self, received: Received) -> Job | Refused | Undecodable:
        """A record that ended this worker would end the next one too, and so on through the group: it is parked."""
        try:
            return self._accept(received)
        except Exception:
            log.exception("intake_crashed", origin=received.position.origin)
            return Undecodable("internal", "an internal error kept it from being understood; it is logged")

    async def _work(self, job: Job) -> JobEvent:
        request = job.request
        self._ports.announce(UpscaleStarted(job_id=request.job_id, tenant=request.tenant, labels=request.labels))
        try:
            done = await self._ports.do(job)
            return outcome.completed(request, done, self._now() - job.started)
        except ShuttingDown:
            raise
        except JobFailed as error:
            return outcome.failed(request, error)
        except Exception as error:
            log.exception("job_crashed")
            return outcome.failed(request, error)

    async def _until_acknowledged(self, publish: Callable[[], Awaitable[None]]) -> None:
        """Repeat until the broker has it: letting go of the record before would lose the request."""
        attempt = 0
        while True:
            try:
                await publish()
                return
            except JobFailed as error:
                attempt += 1
                log.warning("publish_unacknowledged", attempt=attempt, code=str(error.code))
                await self._ports.pause(attempt)

    def _conclude(self, event: JobEvent, lane: Lane, started: float, job: Job | None = None) -> None:
        """The canonical log line of a job, and its counts."""
        seconds = self._now() - started
        told = outcome.summary(event)
        model = job.model.name if job else "none"
        metrics.JOBS.labels(told["status"], told["code"], lane, model).inc()
        metrics.JOB_SECONDS.labels(lane).observe(seconds)
        timings = job.timings.fields() if job else {}
        log.info("job", job_id=event.job_id, lane=str(lane), model=model, seconds=round(seconds, 4), **told, **timings)
