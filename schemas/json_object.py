"""Bytes -> a JSON object, as they were sent: a number beyond all limits becomes infinite, so that its field is refused.

Where an object repeats a name the last value counts, and integers beyond 64 bits are read as floating point.
"""

import json
from typing import Any, NoReturn

import orjson

LONGEST_INTEGER = 19
"""Characters of what surely fits 64 bits, as far as orjson can write it again."""


def read_object(value: bytes) -> dict[str, Any]:
    """Raises `ValueError` with a sentence without its field."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        document = _with_any_number(value)
        if document is None:
            raise ValueError(f"must be JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"must be a JSON object, got {type(document).__name__}")  # noqa: TRY004  it is the value
    return document


def _with_any_number(value: bytes) -> object:
    """What orjson refuses for a number only; None when something else is wrong with it, too."""
    try:
        document = json.loads(value.decode(), parse_int=_integer, parse_constant=_refuse)
        # Lone surrogates and very deep nesting are read here, and nobody could write them again.
        orjson.dumps(document)
    except (ValueError, RecursionError, orjson.JSONEncodeError):
        return None
    return document


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
