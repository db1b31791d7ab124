"""Write schemas/generated/ from the models, or check that it is current: `python -m schemas.generate [--check]`.

The one module of this room that touches files; nothing imports it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from schemas import asyncapi, json_schemas
from schemas.examples import records
from schemas.yaml_writer import to_yaml

FOLDER = Path(__file__).parent / "generated"
CONTRACT_VERSION = "1.0.0"
"""Of the events, not of the program: grows when a reader may notice."""


def documents() -> dict[str, bytes]:
    """Path below the folder -> content. The same models give the same bytes."""
    schemas = {f"json-schema/{name}.json": _json(schema) for name, schema in json_schemas.documents()}
    examples = {f"examples/{name}.json": _json(record) for name, record in records().items()}
    return {**schemas, **examples, "asyncapi.yaml": to_yaml(asyncapi.document(CONTRACT_VERSION)).encode()}


def drift(wanted: dict[str, bytes], folder: Path) -> list[str]:
    """Paths that are missing, differ, or should not be there."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(wanted: dict[str, bytes], folder: Path) -> None:
    """Make `folder` hold exactly what is wanted."""
    for name in drift(wanted, folder):
        path = folder / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[name])
        else:
            path.unlink()


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Exit code 0 when current or written, 1 when `--check` found a difference."""
    wanted = documents()
    if "--check" not in arguments:
        write(wanted, folder)
        return 0
    stale = drift(wanted, folder)
    for name in stale:
        sys.stderr.write(f"{folder.name}/{name}: not current; run python -m schemas.generate\n")
    return 1 if stale else 0


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
