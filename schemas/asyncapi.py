"""The AsyncAPI 3.0.0 document: which topics exist, what lies on them and who says it."""

from typing import Any

from schemas.asyncapi_messages import (
    ASKED,
    BINDING_VERSION,
    DEAD_LETTER,
    MARK,
    REFERENCES,
    asked_otherwise,
    dead_letter,
    mark,
    message,
)
from schemas.codec import JSON
from schemas.events import ALL_EVENTS, CancelRequested, EventData, UpscaleRequested
from schemas.json_schemas import Schema, of_model
from schemas.topics import Lane, Topic, declare

SAID = tuple(event for event in ALL_EVENTS if event not in ASKED)
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
            **{name: _channel(topic, _forms(UpscaleRequested)) for name, topic in lanes.items()},
            "control": _channel(declared.control, _forms(CancelRequested)),
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
                **{event.__name__: message(event) for event in ALL_EVENTS},
                **{name: form for event in ASKED for name, form in asked_otherwise(event).items()},
                DEAD_LETTER: dead_letter(),
                MARK: mark(),
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


def _forms(event: type[EventData]) -> list[str]:
    """The three forms in which it may be asked for."""
    return [event.__name__, *asked_otherwise(event)]


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


def _schemas() -> Schema:
    found: Schema = {}
    for event in ALL_EVENTS:
        schema = of_model(event, REFERENCES)
        found.update(schema.pop("$defs", {}))
        found[event.__name__] = schema
    return dict(sorted(found.items()))
