"""Masks of attention that the blocks of a SwinIR share.

Upstream makes one in every block of every launch, on the CPU, though there are only two for a size of picture: one for
the blocks whose windows are shifted, and one of zeros for the others.
"""

from functools import lru_cache, partial
from typing import Any

from torch import Tensor, nn

MOST_MASKS = 4
"""Two for each of two sizes. One takes 256 bytes a pixel: 21 MB for the largest window of a CPU, 76 MB on a GPU."""


def share_masks(network: nn.Module, device: str) -> None:
    """Let all blocks of a SwinIR take the masks that one of them has made. Threads may be in the network at once."""
    makers: dict[tuple[int, int], Any] = {}

    @lru_cache(MOST_MASKS)
    def mask(kind: tuple[int, int], size: tuple[int, int]) -> Tensor:
        made: Tensor = makers[kind](size)
        return made.to(device)

    for module in network.modules():
        block: Any = module
        if hasattr(block, "calculate_mask"):
            kind = block.window_size, block.shift_size
            makers.setdefault(kind, block.calculate_mask)
            block.calculate_mask = partial(mask, kind)
