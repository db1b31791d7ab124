"""The journal of a run: a line of JSON for each thing that happened, on the disk before the next can happen."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError

from tests.support.history import Entry

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


class Recorder:
    """Appends to a journal while entered. Processes that are to be killed have a journal each, or share one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def write(self, entry: Entry) -> None:
        """Return once the entry is on the disk. One system call, so that a kill tears at most the last line."""
        os.write(self._file, entry.model_dump_json(exclude_defaults=False).encode() + b"\n")
        os.fsync(self._file)


def read(journals: Iterable[Path]) -> tuple[Entry, ...]:
    """The entries of all journals in the order in which they happened. Raises `ValueError` for a damaged line.

    The last line of a journal may be torn: its process was killed as it wrote, and what it says never happened.
    """
    found = [entry for path in journals for entry in _entries(path)]
    return tuple(sorted(found, key=lambda entry: entry.at))


def _entries(path: Path) -> list[Entry]:
    *lines, _torn = path.read_bytes().split(b"\n")
    try:
        return [_ENTRY.validate_json(line) for line in lines]
    except ValidationError as error:
        raise ValueError(f"{path.name}: {error}") from None
