"""W3C trace context in and out of Kafka headers, and the spans of a job and of a batch.

Needs only OpenTelemetry's interface. Without its SDK nothing is recorded, but a trace that comes in still goes out
again, so that sender and receiver of our events stay in one trace.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

Headers = Iterable[tuple[str, bytes | None]]

_NAMES = ("traceparent", "tracestate")
_PROPAGATOR = TraceContextTextMapPropagator()


def extract(headers: Headers) -> Context:
    """The trace that a record belongs to; an empty context when it names none or an invalid one."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in _NAMES and value is not None and value.isascii():
            carrier[name.lower()] = value.decode("ascii")
    return _PROPAGATOR.extract(carrier, Context())


def inject(headers: Iterable[tuple[str, bytes]] = (), context: Context | None = None) -> tuple[tuple[str, bytes], ...]:
    """`headers` with the given or else the current trace context in place of any they had."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    kept = [(name, value) for name, value in headers if name.lower() not in _NAMES]
    return (*kept, *((name, value.encode("ascii")) for name, value in carrier.items()))


@contextmanager
def job_span(headers: Headers, attributes: Mapping[str, AttributeValue] | None = None) -> Iterator[Span]:
    """The work on one record, as a child of the trace that came with it; current inside the block."""
    with trace.get_tracer(__name__).start_as_current_span(
        "process upscale",
        context=extract(headers),
        kind=SpanKind.CONSUMER,
        attributes={"messaging.system": "kafka", "messaging.operation.type": "process", **(attributes or {})},
    ) as span:
        yield span


@contextmanager
def batch_span(model: str, tiles: int, jobs: Sequence[Context]) -> Iterator[Span]:
    """One launch of the device for tiles of several jobs: linked to each of them, child of none."""
    contexts = [trace.get_current_span(job).get_span_context() for job in jobs]
    with trace.get_tracer(__name__).start_as_current_span(
        "infer batch",
        context=Context(),
        links=[Link(context) for context in contexts if context.is_valid],
        attributes={"upscale.model": model, "upscale.tiles": tiles, "upscale.jobs": len(jobs)},
    ) as span:
        yield span
