"""The C library's allocator, told to keep what a launch frees for the next one.

torch has no cache of its own on a CPU. By default glibc maps every buffer of more than 32 MiB anew, and gives back what
is free at the end of a heap; the kernel then zeroes each page again. A face of 512 x 512 in bf16 spent half its time on
that, Real-ESRGAN's small network a twentieth.
"""

import ctypes

MAPPED_FROM_BYTES: int = 256 * 2**20
"""Larger buffers are mapped and unmapped: those of very large pictures, which are rare and should not stay."""
KEPT_BYTES: int = 2**30
"""Most free memory at the end of the heap before it is given back."""
# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Of this process from now on; call it before threads are started. Whether the C library knows how: glibc does."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    # One heap for all threads: those of others end at 64 MiB, and what is larger is mapped all the same.
    wanted = {_ARENA_MAX: 1, _MMAP_THRESHOLD: MAPPED_FROM_BYTES, _TRIM_THRESHOLD: KEPT_BYTES}
    taken = [mallopt(name, value) for name, value in wanted.items()]
    return all(taken)
