"""Received -> Job: understand a record, or say what becomes of one that cannot be worked on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from pipeline.errors import JobFailed
from pipeline.gpu.models.catalog import Catalogue
from pipeline.gpu.models.specs import ModelSpec, Purpose
from pipeline.gpu.models.variant import Variant
from pipeline.kafka.records import Position, Received
from pipeline.kafka.retry import first_origin
from pipeline.storage.objects import SourceRef
from pipeline.storage.sources import SourcePolicy, parse
from pipeline.telemetry.stage import Timings
from schemas import codec
from schemas.events import UpscaleRequested
from schemas.failures import FailureCode
from schemas.topics import Lane

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """A request that may be worked on."""

    request: UpscaleRequested
    source: SourceRef
    model: ModelSpec
    lane: Lane
    position: Position
    started: float
    """On the monotonic clock."""
    deadline: float | None
    """On the monotonic clock; after it the result is of no use."""
    timings: Timings = field(default_factory=Timings)
    restorer: ModelSpec | None = None
    """Of faces; None unless the request asks for them."""

    @property
    def variant(self) -> Variant:
        """The model at the denoising strength asked for."""
        return Variant.asked(self.model, self.request.options.denoise_strength)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request whose sender can be told why it is not worked on."""

    request: UpscaleRequested
    error: JobFailed


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A record that no job can be tied to; it is parked."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """Wall time for what callers write, monotonic time for what we measure."""

    wall: Callable[[], datetime]
    monotonic: Callable[[], float]


def accept(received: Received, clocks: Clocks, sources: SourcePolicy, models: Catalogue) -> Job | Refused | Undecodable:
    """Decide what a record is. Contacts nothing; the same record gives the same answer. Raises nothing.

    A record that ended this worker would end the next one too, and so on through the group: it is parked.
    """
    try:
        return _understood(received, clocks, sources, models)
    except Exception:
        log.exception("intake_crashed", origin=received.position.origin)
        return Undecodable("not_understood", "an internal error kept it from being understood; it is logged")


def _understood(
    received: Received, clocks: Clocks, sources: SourcePolicy, models: Catalogue
) -> Job | Refused | Undecodable:
    try:
        origin = first_origin(received.headers, received.position.origin)
        request = codec.decode_only(UpscaleRequested, received.value, received.headers, origin=origin)
    except codec.UndecodableEvent as error:
        return Undecodable(error.reason, str(error))
    except codec.InvalidRequest as error:
        return Refused(error.request, JobFailed(error.code, str(error), {"field": error.field}))
    try:
        return _job(request, received, clocks, sources, models)
    except JobFailed as error:
        return Refused(request, error)
    except Exception:
        log.exception("intake_crashed", origin=received.position.origin)
        return Refused(request, JobFailed(FailureCode.INTERNAL, "an internal error; it is logged"))


def _job(
    request: UpscaleRequested, received: Received, clocks: Clocks, sources: SourcePolicy, models: Catalogue
) -> Job:
    options, restorer = request.options, None
    model = models.find(options.model, Purpose.UPSCALE)
    Variant.asked(model, options.denoise_strength)
    if options.face_enhance:
        restorer = models.find(options.faces.model, Purpose.FACE_RESTORE, field="faces.model")
    now = clocks.monotonic()
    deadline = None
    if request.deadline is not None:
        deadline = now + (request.deadline - clocks.wall()).total_seconds()
    return Job(
        request=request,
        source=parse(request.source, tenant=request.tenant, policy=sources),
        model=model,
        restorer=restorer,
        lane=received.lane,
        position=received.position,
        started=now,
        deadline=deadline,
    )
