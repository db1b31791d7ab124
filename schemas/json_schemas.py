"""The models as JSON Schema 2020-12."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from schemas.asked import nullable
from schemas.events import ALL_EVENTS, TYPE_PREFIX, EventData, UpscaleRequested
from schemas.options import UpscaleOptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

ATTRIBUTES: dict[str, Schema] = {
    "specversion": {"const": "1.0", "description": "Version of CloudEvents."},
    "id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "description": "The same for every repeat of one event.",
    },
    "source": {
        "type": "string",
        "format": "uri-reference",
        "minLength": 1,
        "maxLength": 1024,
        "description": "Who says it; `source` and `id` together are unique.",
    },
    "type": {"type": "string", "description": "What is said, version included."},
    "subject": {"type": "string", "description": "The job id."},
    "partitionkey": {"type": "string", "description": "The job id; also the key of the record."},
    "time": {"type": "string", "format": "date-time", "description": "When it happened, RFC 3339."},
}
"""CloudEvents attributes as they are written; unknown ones are tolerated."""

REQUIRED_ATTRIBUTES = ("specversion", "id", "source", "type")


class _Untitled(GenerateJsonSchema):
    """Leaves out titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def of_model(model: type[BaseModel], references: str) -> Schema:
    """The schema of one model; `references` is where other models are found, with `{model}` for their name."""
    schema = model.model_json_schema(ref_template=references, schema_generator=_Untitled)
    if model is UpscaleRequested:
        # Every event of ours names its job; a request may leave that to us, as the codec does it.
        schema["required"].remove("job_id")
        schema["properties"]["job_id"] = nullable(schema["properties"]["job_id"])
    return schema


def documents() -> Iterator[tuple[str, Schema]]:
    """(file stem, schema) of every payload, the options and the structured envelope."""
    for event in ALL_EVENTS:
        yield event.type, _document(event.type, of_model(event, "#/$defs/{model}"))
    yield "options", _document("options.v1", of_model(UpscaleOptions, "#/$defs/{model}"))
    yield "envelope", _document("envelope.v1", _envelope())


def _document(name: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:{TYPE_PREFIX.rstrip('.')}:{name.removeprefix(TYPE_PREFIX)}", **schema}


def _envelope() -> Schema:
    """Structured mode: the attributes around a payload that fits the type."""
    definitions: Schema = {}
    for event in ALL_EVENTS:
        schema = of_model(event, "#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        definitions[event.__name__] = schema
    return {
        "title": "Event",
        "description": "A CloudEvents 1.0.2 event in structured mode.",
        "type": "object",
        "properties": {
            **ATTRIBUTES,
            "datacontenttype": {"const": "application/json", "description": "Media type of `data`."},
            "data": {"type": "object", "description": "The payload."},
        },
        "required": [*REQUIRED_ATTRIBUTES, "data"],
        "oneOf": [_variant(event) for event in ALL_EVENTS],
        "$defs": dict(sorted(definitions.items())),
    }


def _variant(event: type[EventData]) -> Schema:
    return {"properties": {"type": {"const": event.type}, "data": {"$ref": f"#/$defs/{event.__name__}"}}}
