"""JSON-like values as YAML, for documents that people read.

Thirty lines instead of a dependency that production would otherwise never load. Scalars are written as
JSON writes them: quoted strings, so that no word turns into a truth value or a number. Numbers with an exponent are
the one thing that YAML 1.1 reads otherwise.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import orjson


def to_yaml(document: Mapping[str, object]) -> str:
    """The document in block style, keys in the order they come. The same document gives the same text."""
    return "\n".join(_mapping(document, "")) + "\n"


def _mapping(values: Mapping[str, object], indent: str) -> Iterator[str]:
    for name, value in values.items():
        yield from _entry(f"{indent}{_key(name)}:", value, f"{indent}  ")


def _sequence(values: Sequence[object], indent: str) -> Iterator[str]:
    for value in values:
        yield from _entry(f"{indent}-", value, f"{indent}  ")


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    match value:
        case Mapping() if value:
            yield head
            yield from _mapping(value, indent)
        case list() if value:
            yield head
            yield from _sequence(value, indent)
        case _:
            yield f"{head} {_scalar(value)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED else _scalar(name)


def _scalar(value: object) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", orjson.dumps(value).decode())


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may hold as it is and YAML may not."""
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some YAML readers do not read as text."""
