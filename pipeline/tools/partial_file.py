"""A file that is being fetched: what has come of it, kept from call to call, and written by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import PipelineError
from pipeline.gpu.models.specs import OfficialWeights


class DownloadFailed(PipelineError):
    """A file could not be fetched: why, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A file that is being fetched, and what its server called that version of it."""

    path: Path

    @property
    def validator_path(self) -> Path:
        """Where the server's name for this version lies."""
        return self.path.with_name(f"{self.path.name}.version")

    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str | None:
        """For `If-Range`; None when the server named no version."""
        return self.validator_path.read_text(encoding="ascii") if self.validator_path.is_file() else None

    def began(self, validator: str | None) -> None:
        """The server's name for what is written from now on."""
        self.validator_path.unlink(missing_ok=True)
        if validator is not None:
            self.validator_path.write_text(validator, encoding="ascii")

    def discard(self) -> None:
        """Begin anew with the next request."""
        self.path.unlink(missing_ok=True)
        self.validator_path.unlink(missing_ok=True)


def partial(folder: Path, published: OfficialWeights) -> Partial:
    """Where what has come of `published` lies. The digest in its name keeps versions of the catalogue apart."""
    return Partial(folder / f".{published.file}.{published.sha256[:12]}.partial")


def kept(published: OfficialWeights, target: Partial, reason: str) -> DownloadFailed:
    """The failure, and how much of the file stays for the next call."""
    have = target.size()
    rest = f"; {have} of {published.size} bytes are kept, and the next call goes on from there" if have else ""
    return DownloadFailed(f"{published.file}: {reason}{rest}")


def append(file: BinaryIO, chunk: bytes) -> None:
    """Write all of `chunk`: an unbuffered file may take it in parts, and the first of them stay where one fails."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


@contextmanager
def disk_errors(target: Partial) -> Iterator[None]:
    """A disk that is full or not ours to write, as `DownloadFailed`."""
    try:
        yield
    except OSError as error:
        raise DownloadFailed(
            f"{target.path.parent}: cannot be written: {error.strerror or error}; what has come is kept, and the next "
            "call goes on from there"
        ) from error


@contextmanager
def alone(target: Partial) -> Iterator[None]:
    """Held against every other process. Raises `DownloadFailed`: two at once would write into one file.

    The lock is a file, which is gone afterwards. It is removed before it is given back: who opened it until then finds
    that it is no longer there, and takes the one that is.
    """
    target.path.parent.mkdir(parents=True, exist_ok=True)
    path = target.path.with_name(f"{target.path.name}.lock")
    lock = _locked(path, target)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.close()


def _locked(path: Path, target: Partial) -> BinaryIO:
    while True:
        lock = path.open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DownloadFailed(f"{target.path.name}: another process is fetching it") from None
        if _lies_at(path, lock):
            return lock
        lock.close()


def _lies_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
