"""Bytes <-> event. Reads CloudEvents in binary and structured mode and bare JSON requests; writes binary mode.

Follows CloudEvents 1.0.2 and its Kafka protocol binding. What it does not know it refuses, naming why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeVar
from uuid import uuid5

import orjson
from pydantic import ValidationError

from schemas.events import EVENT_NAMESPACE, EVENT_TYPES, TYPE_PREFIX, Event, EventData, UpscaleRequested
from schemas.failures import FailureCode
from schemas.json_object import read_object
from schemas.problems import Problem, problems

Data = TypeVar("Data", bound=EventData)
Headers = Iterable[tuple[str, bytes | None]]

CONTENT_TYPE = "content-type"
JSON = "application/json"
STRUCTURED = "application/cloudevents"
STRUCTURED_JSON = f"{STRUCTURED}+json"
PREFIX = "ce_"
BARE = "bare"
"""CloudEvents `source` of a request that came as bare JSON; its `id` follows from where the record lies."""
REQUIRED = ("specversion", "id", "source", "type")
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

    @property
    def code(self) -> FailureCode:
        """How the failure event names it."""
        return FailureCode.INVALID_OPTIONS if self.field.split(".")[0] == "options" else FailureCode.INVALID_REQUEST


def encode(event: Event) -> Message:
    """Binary mode: attributes are `ce_` headers, the value is the payload alone. The key is the subject."""
    headers = [(f"{PREFIX}{name}", value.encode()) for name, value in attributes_of(event).items()]
    return Message(
        key=event.data.subject.encode(),
        value=event.data.model_dump_json(exclude_none=True).encode(),
        headers=((CONTENT_TYPE, JSON.encode()), *headers),
    )


def to_document(event: Event) -> dict[str, Any]:
    """Structured mode: one JSON object that holds attributes and payload; `from_document` reads it back."""
    return {
        **attributes_of(event),
        "datacontenttype": JSON,
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }


def from_document(document: Mapping[str, Any], *, origin: str) -> Event:
    """What `to_document` wrote. Raises as `decode`."""
    return decode(orjson.dumps(document), ((CONTENT_TYPE, STRUCTURED_JSON.encode()),), origin=origin)


def attributes_of(event: Event) -> dict[str, str]:
    """The CloudEvents attributes of an event, as text."""
    attributes = {
        "specversion": event.specversion,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.data.subject,
        "partitionkey": event.data.subject,
    }
    if event.time is not None:
        attributes["time"] = event.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return attributes


def decode(value: bytes | None, headers: Headers, *, origin: str) -> Event:
    """Read one Kafka record.

    `origin` names the record itself (topic, partition, offset): a bare request that brings no id derives its
    job id from it, so that a redelivery is the same job. Raises `UndecodableEvent` or `InvalidRequest`.
    """
    attributes, data = _opened(value, headers, origin, UpscaleRequested)
    return _read(_payload_type(attributes["type"]), attributes, data)[0]


def decode_only(wanted: type[Data], value: bytes | None, headers: Headers, *, origin: str) -> Data:
    """The payload of a record on a topic for events of one type: that is what bare JSON is taken for there.

    Raises as `decode`; an event of another type is refused before anything else of it is judged.
    """
    attributes, data = _opened(value, headers, origin, wanted)
    if _payload_type(attributes["type"]) is not wanted:
        raise UndecodableEvent("unexpected_type", f"type: must be {wanted.type} here, got {attributes['type']}")
    return _read(wanted, attributes, data)[1]


def _read(model: type[Data], attributes: dict[str, Any], data: dict[str, Any]) -> tuple[Event, Data]:
    if model is UpscaleRequested and data.get("job_id") is None:
        data = {**data, "job_id": _derived_job_id(attributes)}
    try:
        payload = model.model_validate(data)
    except ValidationError as error:
        raise _refusal(model, data, problems(error), "invalid_payload") from None
    try:
        return Event.model_validate({**attributes, "data": payload}), payload
    except ValidationError as error:
        raise _refusal(model, data, problems(error), "invalid_attributes") from None


def _opened(
    value: bytes | None, headers: Headers, origin: str, bare: type[EventData]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes and the payload, whichever of the three modes the record is in; `bare` is what it is in none."""
    if not value:
        raise UndecodableEvent("empty", "event: the record has no value")
    if len(value) > MAX_EVENT_BYTES:
        raise UndecodableEvent("too_large", f"event: limit {MAX_EVENT_BYTES} bytes, got {len(value)}")
    named = {name.lower(): raw for name, raw in headers}
    media_type = _media_type(named)
    if media_type.startswith(STRUCTURED) and media_type not in (STRUCTURED, STRUCTURED_JSON):
        raise UndecodableEvent("unsupported_format", f"{CONTENT_TYPE}: must be {STRUCTURED_JSON}, got {media_type!r}")
    document = _json_object(value)
    if not media_type.startswith(STRUCTURED) and any(f"{PREFIX}{name}" in named for name in REQUIRED):
        return _required(_text_attributes(named)), document
    if media_type.startswith(STRUCTURED) or "specversion" in document:
        payload = document.pop("data", None)
        if not isinstance(payload, dict):
            raise UndecodableEvent("missing_attribute", "data: must be a JSON object")
        return _required(document), payload
    return {"type": bare.type, "id": str(uuid5(EVENT_NAMESPACE, origin)), "source": BARE}, document


def _media_type(headers: Mapping[str, bytes | None]) -> str:
    raw = headers.get(CONTENT_TYPE) or b""
    return raw.decode(errors="replace").partition(";")[0].strip().lower()[:100]


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        return read_object(value)
    except ValueError as error:
        raise UndecodableEvent("malformed_json", f"event: {error}") from None


def _text_attributes(headers: Mapping[str, bytes | None]) -> dict[str, Any]:
    """The attributes we read. Replacing what is not UTF-8 would let two ids become one, so it is refused."""
    found: dict[str, Any] = {}
    for name in (*REQUIRED, "time"):
        raw = headers.get(f"{PREFIX}{name}")
        if raw is not None:
            try:
                found[name] = raw.decode()
            except UnicodeDecodeError:
                raise UndecodableEvent("invalid_attributes", f"{name}: header must be UTF-8") from None
    return found


def _required(attributes: dict[str, Any]) -> dict[str, Any]:
    for name in REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise UndecodableEvent("missing_attribute", f"{name}: required by CloudEvents and absent or empty")
    if attributes["specversion"] != "1.0":
        raise UndecodableEvent(
            "unsupported_version", f"specversion: must be '1.0', got {attributes['specversion'][:20]!r}"
        )
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


def _derived_job_id(attributes: Mapping[str, Any]) -> str:
    """The job of an event that names none: CloudEvents says equal source and id are the same event."""
    return str(uuid5(EVENT_NAMESPACE, orjson.dumps([attributes["source"], attributes["id"]]).decode()))


def _refusal(model: type[EventData], data: dict[str, Any], found: tuple[Problem, ...], reason: str) -> Exception:
    """Tell the sender when the job is known beyond doubt; otherwise nobody can be told."""
    first = found[0]
    wrong = {problem.field.partition(".")[0] for problem in found}
    if model is not UpscaleRequested or wrong & {"job_id", "tenant"}:
        return UndecodableEvent(reason, f"{first.field}: {first.sentence}")
    identity = {
        name: data[name] for name in ("job_id", "tenant", "labels", "webhook") if name in data and name not in wrong
    }
    return InvalidRequest(UpscaleRequested(source="unknown", **identity), first.field, first.sentence)
