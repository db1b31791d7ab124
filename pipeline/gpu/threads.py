"""DeviceThreads: the threads on which a device is told what to compute, and for how long they have been at it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition, get_ident
from typing import TypeVar

import torch

from pipeline.gpu.device import DeviceProfile

Answer = TypeVar("Answer")


class DeviceThreads:
    """As many threads as the profile has launches. `now` is a clock that never goes back."""

    def __init__(self, profile: DeviceProfile, now: Callable[[], float]) -> None:
        self._now = now
        self._threads = ThreadPoolExecutor(profile.launches, "device", partial(_own_device, profile))
        self._began: dict[int, float] = {}
        """When a thread that is at work began with it."""
        self._ending = Condition()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """`work()`, after what was given before. Cancelled while it waits, it is not begun."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._timed, work)

    def seconds(self) -> float:
        """For how long the work that runs longest has run by now."""
        return max((self._now() - began for began in tuple(self._began.values())), default=0.0)

    async def close(self, seconds: float) -> bool:
        """Whether what is under way has ended; waits for it no longer than that. No thread can be made to end."""
        self._threads.shutdown(wait=False)
        return await asyncio.to_thread(self._ended, seconds)

    def _ended(self, seconds: float) -> bool:
        with self._ending:
            return self._ending.wait_for(lambda: not self._began, seconds)

    def _timed(self, work: Callable[[], Answer]) -> Answer:
        self._began[get_ident()] = self._now()
        try:
            return work()
        finally:
            with self._ending:
                del self._began[get_ident()]
                self._ending.notify_all()


def _own_device(profile: DeviceProfile) -> None:
    """First thing the thread does. The number of threads is a property of the calling thread in OpenMP."""
    torch.set_num_threads(profile.threads)
    # Otherwise CUDA rounds float32 convolutions to 10 bits of mantissa, and `fp32` would not mean it.
    torch.backends.cudnn.allow_tf32 = False
