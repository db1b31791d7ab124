"""How much memory there is."""

import os
from pathlib import Path

import pytest

from pipeline.gpu.memory import machine_bytes

INSTALLED = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("told", "expected"),
    [("1048576\n", 2**20), ("max\n", INSTALLED), (f"{2**63 - 4096}\n", INSTALLED), (None, INSTALLED)],
)
def test_memory_is_the_containers_limit_where_that_is_less(told: str | None, expected: int, tmp_path: Path) -> None:
    """Control groups say `max`, or an absurd number, where there is no limit."""
    limit = tmp_path / "memory.max"
    if told is not None:
        limit.write_text(told)

    assert machine_bytes((limit,)) == expected
