"""Ports of a state folder: chosen once and kept, so that whoever knows them finds the next start there too."""

from contextlib import suppress
from pathlib import Path

import orjson

from pipeline.embedded.process import free_port, is_free

FILE = "ports.json"


def kept_ports(folder: Path) -> dict[str, int]:
    """The ports of the last start by what listens there; none where there was no start or the file is damaged."""
    with suppress(FileNotFoundError, orjson.JSONDecodeError):
        found: dict[str, int] = orjson.loads((folder / FILE).read_bytes())
        return found
    return {}


def keep_port(folder: Path, name: str) -> int:
    """The port of `name`: the one of the last start or, where something else has that, another one from now on."""
    kept = kept_ports(folder)
    if name not in kept or not is_free(kept[name]):
        kept[name] = free_port()
        (folder / FILE).write_bytes(orjson.dumps(kept))
    return kept[name]
