"""Run as `python tether.py PARENT PROGRAM ARGUMENTS...`: become PROGRAM, and let the kernel end it with its parent.

The parent-death signal of prctl(2) survives execve(2), so the program needs to know nothing of it. It is SIGKILL:
SIGTERM may be ignored, and what the embedded servers have acknowledged survives a kill. Linux only; elsewhere the
program runs without a tether. Imports nothing of ours: it runs before there is a path to find us on.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def tie_to(parent: int) -> None:
    """Ask for SIGKILL when `parent` dies. Exits at once when it is dead already, since then no signal would come."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"the parent process {parent} is gone")


def main(argv: list[str]) -> None:
    tie_to(int(argv[0]))
    os.execv(argv[1], argv[1:])  # noqa: S606  the program is what we were asked to become; no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
