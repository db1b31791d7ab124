"""What the parts of a request have in common: they are read as strictly as their published schema says, and no more."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, GetJsonSchemaHandler, Strict, model_validator
from pydantic_core import CoreSchema

from schemas.problems import shown

Truth = Annotated[bool, Strict()]
"""`true` or `false`, and no other word for them."""


def _a_number(value: object) -> object:
    """Python counts `true` as 1 and reads digits in quotes; a caller who wrote them meant something else."""
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise ValueError(f"must be a number, got {shown(value)}")  # noqa: TRY004  pydantic reports no other kind
    return value


Numeric = BeforeValidator(_a_number)
"""A JSON number; `32.0` is a whole one."""


class Asked(BaseModel):
    """A part of a request. `null` for a field that has a default is as good as leaving the field out."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in data.items() if value is not None or name not in optional}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        whole = handler.resolve_ref_schema(schema)
        properties = whole.get("properties", {})
        for name in properties.keys() - set(whole.get("required", ())):
            properties[name] = nullable(properties[name])
        return schema


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a property that may also be `null`."""
    beside: dict[str, Any] = {word: schema[word] for word in ("default", "description") if word in schema}
    inner = {word: value for word, value in schema.items() if word not in beside}
    choices: list[dict[str, Any]] = inner.get("anyOf", [inner])
    null = {"type": "null"}
    return {"anyOf": choices if null in choices else [*choices, null], **beside}
