"""What goes wrong with the fake device."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import torch
from torch import Tensor


class DeviceTrouble(StrEnum):
    OUT_OF_MEMORY = "out_of_memory"
    """There is room for so many tiles at a time and no more."""
    LOST = "lost"
    """The launch of this number fails, and so would all after it."""
    DEADLY = "deadly"
    """A launch fails with a tile that is nothing but this sample, and the device with it."""


@dataclass(slots=True)
class DeviceFault:
    """Called with the tiles of each launch, in the middle of it; raises what torch would."""

    trouble: DeviceTrouble
    number: int
    launches: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """`TROUBLE:NUMBER`, as a command line has it. Raises `ValueError`."""
        trouble, _, number = text.partition(":")
        return cls(DeviceTrouble(trouble), int(number))

    def __str__(self) -> str:
        return f"{self.trouble}:{self.number}"

    def __call__(self, tiles: Tensor) -> None:
        self.launches += 1
        if self.trouble is DeviceTrouble.OUT_OF_MEMORY and len(tiles) > self.number:
            raise torch.OutOfMemoryError("out of memory")
        if self._ends_device(tiles):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def _ends_device(self, tiles: Tensor) -> bool:
        if self.trouble is DeviceTrouble.DEADLY:
            return bool(((tiles * 255).round() == self.number).flatten(1).all(1).any())
        return self.trouble is DeviceTrouble.LOST and self.launches >= self.number


def after(fault: DeviceFault | None, half_way: Callable[[], None]) -> Callable[[Tensor], None]:
    """`half_way`, and then `fault` if there is one."""

    def both(tiles: Tensor) -> None:
        half_way()
        if fault:
            fault(tiles)

    return both
