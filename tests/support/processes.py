"""What a test does to a process that is not its own."""

import asyncio
import os
import signal
from pathlib import Path

from tests.support.waiting import until


async def freeze(pid: int) -> None:
    """SIGSTOP, which takes effect a moment after it is sent."""
    os.kill(pid, signal.SIGSTOP)
    status = Path(f"/proc/{pid}/stat")

    async def stopped() -> bool:
        return (await asyncio.to_thread(status.read_text)).rpartition(")")[2].split()[0] == "T"

    await until(stopped)


def thaw(pid: int) -> None:
    """SIGCONT, after `freeze`."""
    os.kill(pid, signal.SIGCONT)
