"""A state folder has one user at a time: two stores over the same files would damage both their data."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError

LOCK_FILE = "lock"


class FolderNotUsable(PipelineError):
    """A state folder cannot be made, or is in use; the text names it and says why."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make `folder` if need be, and keep other processes out of it until the block ends. Raises `FolderNotUsable`.

    The kernel lets go of the claim when its owner dies, however that happens, so none is ever left behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise FolderNotUsable(f"{folder}: must be a folder that can be written to: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderNotUsable(
                f"{folder}: is in use by the process {lock.read().strip()}; stop that one, or name another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
