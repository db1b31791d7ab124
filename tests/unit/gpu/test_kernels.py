"""Which cards a build of torch has kernels for."""

import pytest

from pipeline.gpu.kernels import Capability, has_kernels

WHEEL = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
"""What torch 2.15 for CUDA 13.2 was built for."""


@pytest.mark.parametrize(
    ("card", "kernels", "expected"),
    [
        ((6, 1), WHEEL, False),
        ((7, 0), WHEEL, False),
        ((7, 5), WHEEL, True),
        ((8, 9), WHEEL, True),
        ((10, 3), WHEEL, True),
        ((11, 0), WHEEL, False),
        ((12, 1), WHEEL, True),
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_90a",), True),
        ((12, 0), ("sm_80", "compute_90"), True),
        ((8, 0), ("sm_75", "compute_90"), False),
        ((9, 4), ("gfx90a", "gfx942"), True),
        ((9, 0), (), True),
    ],
)
def test_card_runs_what_was_built_for_its_generation_or_compiles_it(
    card: Capability, kernels: tuple[str, ...], expected: bool
) -> None:
    """Never what was built for a later step; and nothing is refused where the build does not tell."""
    assert has_kernels(card, kernels) is expected
