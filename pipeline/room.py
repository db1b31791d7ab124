"""What the settings of all rooms share: frozen, strict about names, and lists that fit into a variable."""

from typing import Annotated, Any, get_origin

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Room(BaseModel):
    """Settings of one room: frozen, and a misspelt field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _list_from_text(cls, value: object, info: ValidationInfo) -> object:
        """An environment variable holds a list as `a,b` or as a JSON array."""
        field = cls.model_fields[info.field_name or ""]
        return _items(value) if isinstance(value, str) and get_origin(field.annotation) is tuple else value


def _items(text: str) -> list[Any]:
    if not text.startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        found: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError(f"must be `a,b` or a JSON array, got {text[:100]!r}") from None
    return found
