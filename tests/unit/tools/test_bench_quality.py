"""`upscale bench quality`."""

import argparse
from pathlib import Path

import orjson
import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.gpu.models.catalog import MODELS
from pipeline.gpu.models.specs import Purpose
from pipeline.settings import Settings
from pipeline.tools.bench_quality import add_arguments, available, main
from pipeline.tools.photographs import SUBJECTS


def bench(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args(words), Settings())


@pytest.mark.weights
def test_bench_scores_every_method_and_writes_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The original, bicubic, our network and upstream's: a line each on the screen, every photograph in the file."""
    report, sheet = tmp_path / "report.json", tmp_path / "sheet.webp"
    words = ("--model", "animevideov3", "--size", "128", "--precision", "fp32")

    assert bench(*words, "--json", str(report), "--contact-sheet", str(sheet)) == 0

    told = orjson.loads(report.read_bytes())["scores"]
    methods = [
        ("original", ""),
        ("bicubic", ""),
        ("realesr-animevideov3", "ours"),
        ("realesr-animevideov3", "upstream"),
    ]
    assert list(dict.fromkeys((each["model"], each["by"]) for each in told)) == methods
    assert len(told) == len(methods) * len(SUBJECTS)
    assert "realesr-animevideov3" in capsys.readouterr().out
    by = {(each["by"], each["photograph"]): each for each in told if each["model"] == "realesr-animevideov3"}
    for subject in SUBJECTS:
        name = Path(subject.file).stem
        assert by["ours", name]["psnr"] == pytest.approx(by["upstream", name]["psnr"], abs=0.05)
        assert by["ours", name]["ssim"] == pytest.approx(by["upstream", name]["ssim"], abs=0.001)
    with Image.open(sheet) as image:
        assert image.format == "WEBP"


def test_bench_measures_the_networks_whose_weights_are_here(tmp_path: Path) -> None:
    """Those of the install; one whose published file lies in the folder is measured too."""
    carried = [spec for spec in MODELS if spec.carried is not None and spec.purpose is Purpose.UPSCALE]
    assert available(tmp_path) == carried
    assert carried


def test_size_too_small_to_compare_is_refused() -> None:
    """The window of SSIM would not fit."""
    with pytest.raises(PipelineError, match="--size: must be at least 128, got 100"):
        bench("--size", "100")
