"""A trace that comes in goes out again, and what is no trace starts none."""

import pytest
from opentelemetry import trace
from opentelemetry.context import Context

from pipeline.telemetry import tracing
from pipeline.telemetry.tracing import batch_span, extract, inject, job_span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
"""The example of W3C Trace Context, section 3.2.2.3."""


def _trace_id(context: Context) -> str:
    return trace.format_trace_id(trace.get_current_span(context).get_span_context().trace_id)


def test_incoming_trace_goes_out_again_without_an_sdk() -> None:
    """Sender and receiver of our events stay in one trace even where we record nothing."""
    with job_span([("traceparent", TRACEPARENT), ("tracestate", b"vendor=opaque")]):
        sent = dict(inject([("ce_id", b"1")]))
    assert sent["traceparent"].split(b"-")[1] == TRACE.encode()
    assert sent["tracestate"] == b"vendor=opaque"
    assert sent["ce_id"] == b"1"


def test_header_names_are_read_without_regard_to_case() -> None:
    """Some producers capitalise."""
    assert _trace_id(extract([("TraceParent", TRACEPARENT)])) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"garbage",
        TRACEPARENT.upper(),
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é".encode(),
        b"x" * 100_000,
    ],
)
def test_invalid_traceparent_is_ignored(value: bytes | None) -> None:
    """A trace is a convenience: a bad one never stops a job, and none is made up."""
    with job_span([("traceparent", value), ("tracestate", b"\xff")]):
        assert inject() == ()


def test_outgoing_context_replaces_what_was_there() -> None:
    """A record that is passed on belongs to one trace, not to two."""
    stale = [("traceparent", b"stale"), ("TraceState", b"stale"), ("ce_id", b"1")]
    assert inject(stale, extract([("traceparent", TRACEPARENT)])) == (("ce_id", b"1"), ("traceparent", TRACEPARENT))


def test_jobs_do_not_inherit_each_others_trace() -> None:
    """A record without a trace, handled inside the span of another, is not its child."""
    with job_span([("traceparent", TRACEPARENT)]), job_span([]):
        assert inject() == ()


def test_batch_is_linked_to_its_jobs_and_child_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One launch works for many jobs: many traces point at it, and it belongs to none of them."""
    tracer = _Recorder()
    monkeypatch.setattr(tracing.trace, "get_tracer", lambda _: tracer)
    jobs = [extract([("traceparent", TRACEPARENT)]), extract([])]
    with job_span([("traceparent", TRACEPARENT)]), batch_span("realesrgan-x4plus", 7, jobs):
        pass
    name, parent, attributes, links = tracer.started[-1]
    assert (name, parent) == ("infer batch", "0" * 32)
    assert links == [TRACE]
    assert attributes == {"upscale.model": "realesrgan-x4plus", "upscale.tiles": 7, "upscale.jobs": 2}


def test_job_span_says_what_it_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By OpenTelemetry's messaging conventions, with what the caller adds."""
    tracer = _Recorder()
    monkeypatch.setattr(tracing.trace, "get_tracer", lambda _: tracer)
    with job_span([("traceparent", TRACEPARENT)], {"messaging.kafka.offset": 7}):
        pass
    name, parent, attributes, _ = tracer.started[-1]
    assert (name, parent) == ("process upscale", TRACE)
    assert attributes == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.kafka.offset": 7,
    }


class _Recorder(trace.NoOpTracer):
    """Stands where the SDK's tracer would and notes what it is asked to start."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, object, list[str]]] = []

    def start_as_current_span(self, name, context=None, **more):  # type: ignore[no-untyped-def]
        traces = [trace.format_trace_id(link.context.trace_id) for link in more.get("links", ())]
        self.started.append((name, _trace_id(context), more.get("attributes"), traces))
        return super().start_as_current_span(name, context, **more)
