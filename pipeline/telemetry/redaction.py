"""Any value -> one that may be written to a log: JSON only, bounded, without secrets."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
MAX_DEPTH = 6
MAX_CHARACTERS = 8_000

_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|authorization|cookie|api_?key|access_?key|private_?key|credential|signature",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^\s/?#@]+@")
_URL_QUERY = re.compile(r"(?<=://)([^\s?#\"'<>]*)\?[^\s\"'<>]*")
"""What follows the question mark of a signed link is as good as a password."""
_ASSIGNED = re.compile(r"((?:password|secret|token|signature|api_?key)=)[^\s&\"']+", re.IGNORECASE)
"""Queries and forms that libraries quote without their URL."""


def redacted(name: str, value: object) -> Any:
    """`value` as plain JSON; hidden entirely when its name says that it is a secret."""
    return REDACTED if _SECRET_NAME.search(name) else plain(value)


def plain(value: object, depth: int = 0) -> Any:
    """Anything as plain JSON, with the query and user part of every URL hidden."""
    match value:
        case None | bool():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else hex(value)
        case float():
            return value
        case str():
            return text(value)
        case Mapping() if depth < MAX_DEPTH:
            return {
                text(str(name)): REDACTED if _SECRET_NAME.search(str(name)) else plain(inner, depth + 1)
                for name, inner in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return [plain(inner, depth + 1) for inner in value]
        case _:
            return text(_described(value))


def text(value: str) -> str:
    """A text that UTF-8 can carry, without what URLs hide, cut in the middle when it is long.

    Hiding comes first: a cut through a URL would leave half of a secret that nothing marks as one.
    """
    sound = value.encode(errors="backslashreplace").decode()
    hidden = _URL_QUERY.sub(rf"\1?{REDACTED}", _USER_INFO.sub(f"{REDACTED}@", sound))
    hidden = _ASSIGNED.sub(rf"\1{REDACTED}", hidden)
    if len(hidden) <= MAX_CHARACTERS:
        return hidden
    half = MAX_CHARACTERS // 2
    return f"{hidden[:half]} … {hidden[-half:]}"


def _described(value: object) -> str:
    """A log line is worth more than a faithful rendering: an object whose own words fail is told by its type."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
