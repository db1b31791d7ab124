"""The AsyncAPI 3.0.0 document: which topics exist, what lies on them and who says it."""

from typing import Any

from schemas import topics
from schemas.codec import CONTENT_TYPE, JSON, encode
from schemas.events import ALL_EVENTS, CancelRequested, EventData, JobData, UpscaleRequested
from schemas.examples import EXAMPLES, record, short_name
from schemas.json_schemas import ATTRIBUTES, REQUIRED_ATTRIBUTES, Schema, of_model
from schemas.topics import Lane, Topic, declare

BINDING_VERSION = "0.5.0"
REFERENCES = "#/components/schemas/{model}"
DEAD_LETTER = "DeadLetter"
MARK = "DeadLetterMark"

SAID = tuple(event for event in ALL_EVENTS if event not in (UpscaleRequested, CancelRequested))
"""Events that the service publishes."""


def document(version: str) -> dict[str, Any]:
    """The whole document, for a release called `version`."""
    declared = declare()
    lanes = {f"requests-{lane}": declared.requests[lane] for lane in Lane}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "upscale",
            "version": version,
            "description": (
                "Image upscaling on a message queue. Requests come in on one topic for each lane, events about every "
                "job go out on one topic. Delivery is at least once; ids are derived, so repeats are recognisable."
            ),
            "license": {"name": "BSD-3-Clause"},
        },
        "defaultContentType": JSON,
        "servers": _servers(),
        "channels": {
            **{name: _channel(topic, [UpscaleRequested.__name__]) for name, topic in lanes.items()},
            "control": _channel(declared.control, [CancelRequested.__name__]),
            "events": _channel(declared.events, [event.__name__ for event in SAID]),
            "dead-letters": _channel(declared.dead_letters, [DEAD_LETTER, MARK]),
        },
        "operations": {
            **{f"receive-{name}": _receive(name) for name in lanes},
            "receive-control": {
                "action": "receive",
                "channel": {"$ref": "#/channels/control"},
                "summary": "Call a job off. Every worker reads all of it, outside any group.",
            },
            "publish-events": _send("events", "Say what became of each job."),
            "park-dead-letters": _send("dead-letters", "Park what no job can be tied to, bytes untouched."),
        },
        "components": {
            "messages": {
                **{event.__name__: _message(event) for event in ALL_EVENTS},
                DEAD_LETTER: _dead_letter(),
                MARK: _mark(),
            },
            "schemas": _schemas(),
            "securitySchemes": {
                "scram": {"type": "scramSha512", "description": "SASL SCRAM-SHA-512; PLAIN and SCRAM-SHA-256 work too."}
            },
        },
    }


def _servers() -> Schema:
    brokers = {"brokers": {"default": "127.0.0.1:9092", "description": "Bootstrap servers, host:port."}}
    return {
        "plain": {"host": "{brokers}", "protocol": "kafka", "variables": brokers, "description": "Inside one network."},
        "secure": {
            "host": "{brokers}",
            "protocol": "kafka-secure",
            "variables": brokers,
            "description": "TLS, with SASL where the broker asks for it.",
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _channel(topic: Topic, messages: list[str]) -> Schema:
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"]} | topic.configuration,
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _receive(channel: str) -> Schema:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": "Take a request; its lane is the topic it was sent to.",
        "bindings": {
            "kafka": {
                "groupId": {"type": "string", "default": "upscale-workers"},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }


def _send(channel: str, summary: str) -> Schema:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _message(event: type[EventData]) -> Schema:
    shown = record(encode(EXAMPLES[event.type]))
    subject = "job_id" if issubclass(event, JobData) else "endpoint_id"
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or "").partition("\n")[0],
        "contentType": JSON,
        "headers": _headers(event.type),
        "payload": {"$ref": REFERENCES.format(model=event.__name__)},
        "correlationId": {"location": f"$message.payload#/{subject}", "description": "What it is about."},
        "bindings": {"kafka": _keyed(f"The {subject.replace('_', ' ')}, UTF-8.")},
        "examples": [{"name": short_name(event.type), "headers": shown["headers"], "payload": shown["value"]}],
    }


def _headers(event_type: str) -> Schema:
    """Binary mode. The media type is required by it; `traceparent` and `tracestate` belong to the hop."""
    attributes = {f"ce_{name}": schema for name, schema in ATTRIBUTES.items()}
    return {
        "type": "object",
        "properties": {
            CONTENT_TYPE: {"const": JSON},
            **attributes,
            "ce_type": {"const": event_type},
            "traceparent": {"type": "string", "description": "W3C trace context."},
            "tracestate": {"type": "string", "description": "W3C trace context."},
        },
        "required": [CONTENT_TYPE, *(f"ce_{name}" for name in REQUIRED_ATTRIBUTES)],
    }


def _dead_letter() -> Schema:
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


def _mark() -> Schema:
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


def _schemas() -> Schema:
    found: Schema = {}
    for event in ALL_EVENTS:
        schema = of_model(event, REFERENCES)
        found.update(schema.pop("$defs", {}))
        found[event.__name__] = schema
    return dict(sorted(found.items()))
