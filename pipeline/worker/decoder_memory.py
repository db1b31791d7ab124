"""Memory that two processes share: a file without a name, handed over as a descriptor."""

import fcntl
import mmap
import os
import sys
import tempfile


class SharedMemory:
    """Owns the descriptor of `size` bytes, all zero until written, and taking no room until then."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.size = size

    @classmethod
    def of_size(cls, size: int) -> "SharedMemory":
        """New memory whose size nobody can change any more: a reader past a shortened end would be killed."""
        memory = cls(_nameless_file(), size)
        os.ftruncate(memory.descriptor, size)
        if sys.platform == "linux":
            fcntl.fcntl(memory.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        return memory

    @classmethod
    def holding(cls, data: bytes) -> "SharedMemory":
        """New memory with a copy of `data`."""
        memory = cls.of_size(len(data))
        with open(memory.descriptor, "r+b", closefd=False) as file:
            file.write(data)
        return memory

    def private_view(self, size: int) -> mmap.mmap:
        """The first `size` bytes. What is written to the view stays in it; it outlives this object."""
        return mmap.mmap(self.descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)

    def close(self) -> None:
        """Give the descriptor back; may be repeated."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        # The thread that fills large memory cannot be cancelled: when nobody takes its result, this closes it.
        self.close()


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:  # noqa: RET505  # otherwise a type checker on one system calls the other's line unreachable
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
