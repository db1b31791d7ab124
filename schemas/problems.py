"""What a model found wrong -> sentences that name the field, the limit and the value."""

import re
from dataclasses import dataclass
from math import isinf

from pydantic import ValidationError
from pydantic_core import ErrorDetails

SHOWN_CHARACTERS = 100
"""Longer values are described: what somebody sent by mistake may be a picture or a secret."""

KINDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 64 bits",
    "model_type": "must be an object",
    "string_type": "must be text",
    "tuple_type": "must be an array",
}
"""What must hold, where the words of the library are those of Python."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    path: tuple[str, ...]
    """Where, from the outside in; empty when it is the whole that does not fit together."""
    sentence: str
    """What must hold and what was found, without the field's name."""

    @property
    def field(self) -> str:
        return ".".join(self.path)


def problems(error: ValidationError) -> tuple[Problem, ...]:
    """All that is wrong, in the order of the fields; never empty."""
    found = error.errors(include_url=False)
    return tuple(
        Problem(tuple(str(part)[:SHOWN_CHARACTERS] for part in each["loc"]), _sentence(each)) for each in found
    )


def _sentence(problem: ErrorDetails) -> str:
    kind = problem["type"]
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known field"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "too_long":
            return f"must have at most {problem['ctx']['max_length']} entries, got {len(problem['input'])}"
        case "too_short":
            return "must have at least 1 entry, got none"
        case _:
            rule = KINDS.get(kind) or re.sub(r"^[A-Z][a-z]+ should ", "must ", problem["msg"])
            return f"{rule}, got {shown(problem['input'])}"


def shown(value: object) -> str:
    """A JSON value as a person may read it in one line."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float() if isinf(value):
            return "a number too large to be read"
        case int() | float():
            return str(value)
        case str() if len(value) <= SHOWN_CHARACTERS:
            return repr(value)
        case str():
            return f"{len(value)} characters"
        case list() | tuple():
            return f"an array of {len(value)}"
        case _:
            return "an object"
