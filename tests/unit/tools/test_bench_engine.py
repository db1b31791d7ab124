"""`upscale bench engine`."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Literal

import orjson
import pytest

from pipeline.gpu.models.specs import Precision
from pipeline.gpu.reference import as_its_script
from pipeline.settings import InvalidSettings, Settings
from pipeline.tools.bench_engine import Windows, add_arguments, main, upstream_extent
from tests.support.networks import cpu_profile


def bench(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args(words), Settings())


@pytest.mark.weights
def test_bench_prints_and_writes_a_ratio_for_every_photograph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run ends with the median ratio and the least decibels, and the same as JSON."""
    path = tmp_path / "report.json"

    code = bench(
        ["--size", "40", "--tile", "24", "--pad", "4", "--rounds", "1", "--precision", "fp32", "--json", str(path)]
    )

    report = orjson.loads(path.read_bytes())
    assert code == 0
    assert "ratio: median" in capsys.readouterr().out
    assert [row["picture"] for row in report["pictures"]] == ["astronaut", "chelsea", "coffee", "rocket"]
    assert len(report["rounds"]) == 1
    assert all(row["quality"]["psnr_fp32"] is None for row in report["pictures"])
    assert all(row["quality"]["psnr_upstream"] > 40 for row in report["pictures"])


def test_bench_refuses_settings_that_cannot_work() -> None:
    """The answer is the variable's name and what is wrong with it."""
    with pytest.raises(InvalidSettings, match=r"^UPSCALE_DEVICE__PRECISION: "):
        bench(["--precision", "fp16", "--size", "16"])


@pytest.mark.parametrize(
    ("device", "precision", "half"),
    [("cpu", "bf16", False), ("cuda", "bf16", True), ("cuda", "fp16", True), ("cuda", "fp32", False)],
)
def test_upstream_runs_where_ours_does_and_as_its_script_does_there(
    device: Literal["cpu", "cuda"], precision: Precision, half: bool
) -> None:
    """Its program would take a GPU of its own accord, beside ours on the CPU; its script computes in fp16 on one."""
    manner = as_its_script(replace(cpu_profile(), device=device, precision=precision), 128, 10)

    assert (manner.device, manner.half, manner.tile, manner.pad) == (device, half, 128, 10)


@pytest.mark.parametrize(("length", "tile", "pad", "extent"), [(100, 50, 10, 120), (90, 50, 10, 110), (40, 50, 10, 40)])
def test_upstreams_windows_are_clipped_at_the_border(length: int, tile: int, pad: int, extent: int) -> None:
    """Cores of `tile`, context only where there is picture."""
    assert upstream_extent(length, Windows(tile, pad)) == extent
