"""Which graphics cards a build of torch has kernels for."""

import re
from collections.abc import Sequence

Capability = tuple[int, int]
"""What a card of NVIDIA's can do, as its maker counts: a generation, and a step within it."""

_KERNEL = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d+)(?P<minor>\d)[a-z]?")


def has_kernels(card: Capability, kernels: Sequence[str]) -> bool:
    """Whether any of `kernels`, named as torch names them, runs on `card`.

    Code for a card (`sm_86`) runs on later ones of its generation; code that the driver compiles (`compute_90`) on all
    later ones. Names of another maker's cards tell nothing, and are not held against theirs.
    """
    known = [found for name in kernels if (found := _KERNEL.fullmatch(name))]
    return not known or any(_runs(card, found) for found in known)


def _runs(card: Capability, kernel: re.Match[str]) -> bool:
    built_for = int(kernel["major"]), int(kernel["minor"])
    return built_for <= card and (kernel["kind"] == "compute" or built_for[0] == card[0])
