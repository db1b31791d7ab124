"""The messages of the AsyncAPI document: headers, payload and an example of each."""

from schemas import topics
from schemas.codec import CONTENT_TYPE, JSON, STRUCTURED_JSON, encode
from schemas.events import CancelRequested, EventData, JobData, UpscaleRequested
from schemas.examples import EXAMPLES, record, records, short_name
from schemas.json_schemas import ATTRIBUTES, REQUIRED_ATTRIBUTES, Schema

BINDING_VERSION = "0.5.0"
REFERENCES = "#/components/schemas/{model}"
DEAD_LETTER = "DeadLetter"
MARK = "DeadLetterMark"
STRUCTURED_FORM = "Structured"
BARE_FORM = "Bare"

OF_STRUCTURED_MODE = r"^application/cloudevents(\+json)? *(;|$)"
OF_BINARY_MODE = r"^(?!application/cloudevents)"
"""By this header the two are told apart; parameters may follow."""

ASKED: tuple[type[EventData], ...] = (UpscaleRequested, CancelRequested)
"""Events that the service reads, in three forms each."""


def message(event: type[EventData]) -> Schema:
    """A CloudEvent in binary mode; it is what we write, and one of three forms that we read."""
    shown = record(encode(EXAMPLES[event.type]))
    subject = "job_id" if issubclass(event, JobData) else "endpoint_id"
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").partition("\n")[0],
        "contentType": JSON,
        "headers": _headers(event),
        "payload": {"$ref": REFERENCES.format(model=event.__name__)},
        "correlationId": {"location": f"$message.payload#/{subject}", "description": "What it is about."},
        "bindings": {"kafka": _keyed(f"The {subject.replace('_', ' ')}, UTF-8.")},
        "examples": [{"name": short_name(event.type), "headers": shown["headers"], "payload": shown["value"]}],
    }


def asked_otherwise(event: type[EventData]) -> dict[str, Schema]:
    """By name, the two forms beside binary mode in which `event` may be asked for."""
    structured, bare = f"{event.__name__}{STRUCTURED_FORM}", f"{event.__name__}{BARE_FORM}"
    payload = REFERENCES.format(model=event.__name__)
    envelope = {
        "type": "object",
        "properties": {**ATTRIBUTES, "type": {"const": event.type}, "data": {"$ref": payload}},
        "required": [*REQUIRED_ATTRIBUTES, "data"],
    }
    media_types = {"type": "string", "pattern": OF_STRUCTURED_MODE, "description": "May be absent."}
    return {
        structured: _form(event, "structured", "a CloudEvent in structured mode", envelope)
        | {"contentType": STRUCTURED_JSON, "headers": {"type": "object", "properties": {CONTENT_TYPE: media_types}}},
        bare: _form(event, "bare", "bare JSON, without any header", {"$ref": payload}) | {"contentType": JSON},
    }


def _form(event: type[EventData], form: str, words: str, payload: Schema) -> Schema:
    name = f"{short_name(event.type)}.{form}"
    shown = records()[name]
    return {
        "name": f"{event.type}.{form}",
        "title": f"{event.__name__}, {form}",
        "summary": f"The same as {words}.",
        "payload": payload,
        "bindings": {"kafka": _keyed("Any, or none.")},
        "examples": [{"name": name, "headers": shown["headers"], "payload": shown["value"]}],
    }


def _headers(event: type[EventData]) -> Schema:
    """Binary mode. `traceparent` and `tracestate` belong to the hop. What we read needs no media type."""
    attributes = {f"ce_{name}": schema for name, schema in ATTRIBUTES.items()}
    required = [f"ce_{name}" for name in REQUIRED_ATTRIBUTES]
    return {
        "type": "object",
        "properties": {
            CONTENT_TYPE: {"type": "string", "pattern": OF_BINARY_MODE} if event in ASKED else {"const": JSON},
            **attributes,
            "ce_type": {"const": event.type},
            "traceparent": {"type": "string", "description": "W3C trace context."},
            "tracestate": {"type": "string", "description": "W3C trace context."},
        },
        "required": required if event in ASKED else [CONTENT_TYPE, *required],
    }


def dead_letter() -> Schema:
    """A record that was parked."""
    described = {
        topics.DEAD_LETTER_REASON: "A stable word.",
        topics.DEAD_LETTER_DETAIL: "A sentence for a person.",
        topics.DEAD_LETTER_ATTEMPTS: "Which attempt at the job it stood for, from 1.",
        topics.DEAD_LETTER_VERSION: "Release of the worker that parked it.",
        topics.ORIGIN_TOPIC: "Where the record lay.",
        topics.ORIGIN_PARTITION: "Where the record lay.",
        topics.ORIGIN_OFFSET: "Where the record lay.",
        topics.ORIGIN_TIMESTAMP: "When it was appended there.",
    }
    omitted = {topics.VALUE_OMITTED: {"type": "string", "description": "Bytes of a value too large to be parked."}}
    return {
        "name": "dead-letter",
        "title": DEAD_LETTER,
        "summary": "A record that no job can be tied to: key, value and headers as they came, and why it lies here.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                **{name: {"type": "string", "description": text} for name, text in described.items()},
                **omitted,
            },
            "required": list(described),
        },
        "bindings": {"kafka": _keyed("The key as it came; may be absent.")},
    }


def mark() -> Schema:
    """What lies beside the letters."""
    described = {
        topics.MARKED: "Which letter of this topic it is about, PARTITION/OFFSET.",
        topics.MARK_OUTCOME: "What became of it: `replayed` or `dropped`.",
    }
    return {
        "name": "dead-letter-mark",
        "title": MARK,
        "summary": "Says that an operator has dealt with a letter, because no single record can be deleted.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in described.items()},
            "required": list(described),
        },
        "bindings": {"kafka": _keyed("The same as the header that names the letter.")},
    }


def _keyed(description: str) -> Schema:
    return {"key": {"type": "string", "description": description}, "bindingVersion": BINDING_VERSION}
