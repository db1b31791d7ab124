"""Bytes <-> event. Reads CloudEvents in binary and structured mode and bare JSON requests; writes binary mode.

Follows CloudEvents 1.0.2 and its Kafka protocol binding. What it does not know it refuses, naming why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

import orjson
from pydantic import ValidationError

from schemas.events import EVENT_NAMESPACE, EVENT_TYPES, TYPE_PREFIX, Event, EventData, UpscaleRequested

Headers = Iterable[tuple[str, bytes]]

CONTENT_TYPE = "content-type"
JSON = "application/json"
STRUCTURED_PREFIX = "application/cloudevents"
MAX_EVENT_BYTES = 262_144
"""A request is a reference and some options; anything larger carries something that does not belong in it."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event as Kafka carries it."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class UndecodableEvent(ValueError):
    """Nothing that could be tied to a job. `reason` is a stable word for the dead-letter header."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class InvalidRequest(ValueError):
    """A request whose job is known but whose fields are not acceptable; its sender can be told."""

    def __init__(self, request: UpscaleRequested, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.request = request
        """The job's identity with default options; never to be executed."""
        self.field = field


def encode(event: Event) -> Message:
    """Binary mode: attributes are `ce_` headers, the value is the payload alone. The key is the job id."""
    attributes = {
        "specversion": event.specversion,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.data.job_id,
        "partitionkey": event.data.job_id,
    }
    if event.time is not None:
        attributes["time"] = event.time.isoformat().replace("+00:00", "Z")
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    return Message(
        key=event.data.job_id.encode(),
        value=event.data.model_dump_json(exclude_none=True).encode(),
        headers=((CONTENT_TYPE, JSON.encode()), *headers),
    )


def decode(value: bytes | None, headers: Headers, *, origin: str) -> Event:
    """Read one Kafka record.

    `origin` names the record itself (topic, partition, offset): a bare request that brings no id derives its
    job id from it, so that a redelivery is the same job. Raises `UndecodableEvent` or `InvalidRequest`.
    """
    if not value:
        raise UndecodableEvent("empty", "the record has no value")
    if len(value) > MAX_EVENT_BYTES:
        raise UndecodableEvent("too_large", f"event: limit {MAX_EVENT_BYTES} bytes, got {len(value)}")
    attributes, data = _split(_json_object(value), {name.lower(): raw for name, raw in headers})
    model = _payload_type(attributes["type"])
    if model is UpscaleRequested:
        data = {"job_id": _derived_job_id(attributes, origin), **data}
    try:
        payload = model.model_validate(data)
    except ValidationError as error:
        raise _refusal(model, data, error) from None
    try:
        return Event.model_validate({**attributes, "data": payload})
    except ValidationError as error:
        raise UndecodableEvent("invalid_attributes", _first(error)[1]) from None


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise UndecodableEvent("malformed_json", str(error)) from None
    if not isinstance(document, dict):
        raise UndecodableEvent("malformed_json", f"event: must be a JSON object, got {type(document).__name__}")
    return document


def _split(document: dict[str, Any], headers: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes and the payload, whichever of the three modes the record is in."""
    if "ce_specversion" in headers:
        text = {
            name.removeprefix("ce_"): raw.decode(errors="replace")
            for name, raw in headers.items()
            if name.startswith("ce_") and raw is not None
        }
        return _required(text), document
    content_type = (headers.get(CONTENT_TYPE) or b"").decode(errors="replace").lower()
    if content_type.startswith(STRUCTURED_PREFIX) or "specversion" in document:
        payload = document.pop("data", None)
        if not isinstance(payload, dict):
            raise UndecodableEvent("missing_attribute", "data: must be a JSON object")
        return _required(document), payload
    return {"type": UpscaleRequested.type, "id": "bare", "source": "bare"}, document


def _required(attributes: dict[str, Any]) -> dict[str, Any]:
    for name in ("specversion", "id", "source", "type"):
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise UndecodableEvent("missing_attribute", f"{name}: required by CloudEvents and absent or empty")
    return attributes


def _payload_type(name: str) -> type[EventData]:
    if name in EVENT_TYPES:
        return EVENT_TYPES[name]
    stem = name.rpartition(".v")[0]
    if name.startswith(TYPE_PREFIX) and any(known.rpartition(".v")[0] == stem for known in EVENT_TYPES):
        raise UndecodableEvent(
            "unsupported_version", f"type: {name[:200]!r} is of a version this release does not read"
        )
    raise UndecodableEvent("unknown_type", f"type: {name[:200]!r} is not one of {', '.join(EVENT_TYPES)}")


def _derived_job_id(attributes: Mapping[str, Any], origin: str) -> str:
    """The job of an event that names none: CloudEvents says equal source and id are the same event."""
    bare = attributes["source"] == "bare"
    return str(uuid5(EVENT_NAMESPACE, origin if bare else f"{attributes['source']}\n{attributes['id']}"))


def _refusal(model: type[EventData], data: dict[str, Any], error: ValidationError) -> Exception:
    field, message = _first(error)
    if model is UpscaleRequested:
        identity = {name: data[name] for name in ("job_id", "tenant", "labels") if name in data}
        try:
            return InvalidRequest(UpscaleRequested(source="unknown", **identity), field, message)
        except ValidationError:
            pass  # not even the identity holds, so there is nobody to tell
    return UndecodableEvent("invalid_payload", f"{field}: {message}")


def _first(error: ValidationError) -> tuple[str, str]:
    """The first problem as (field, sentence), with the refused value cut to a readable length."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "event"
    if problem["type"] == "missing":
        return field, "is required"
    return field, f"{problem['msg']}, got {str(problem['input'])[:100]!r}"
