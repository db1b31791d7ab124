"""What a launch frees is there for the next one."""

import platform
import resource
import subprocess
import sys

import pytest

ROUNDS = """
import resource, threading
from pipeline.gpu.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def rounds(number):
    for _ in range(number):
        b"x" * 2**27

def work():
    rounds(2)
    before = faults()
    rounds(5)
    print(faults() - before)

assert keep_freed_memory()
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
PAGES_OF_ONE_ROUND = 2**27 // resource.getpagesize()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other allocators")
def test_large_buffers_are_not_mapped_anew_for_each_launch() -> None:
    """On a thread of its own too, as the device has."""
    done = subprocess.run([sys.executable, "-c", ROUNDS], capture_output=True, text=True, check=True)

    assert int(done.stdout) < PAGES_OF_ONE_ROUND // 10
