"""Words of which there may be more tomorrow: published as text, with those of today named."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class OpenTo:
    """Beside an enumeration in `Annotated`: its published schema takes any text. Our own reading stays as it is."""

    known: type[StrEnum]
    """The words of this release."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "examples": [str(word) for word in self.known]}
