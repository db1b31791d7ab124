"""`upscale bench faces`, on a network that is quick."""

import argparse

import numpy as np
import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.gpu.infer import infer
from pipeline.gpu.models import catalog
from pipeline.gpu.networks.upstream import GFPGANv1Clean
from pipeline.gpu.untrained import untrained, untrained_upstream
from pipeline.settings import Settings
from pipeline.tools import bench_faces
from tests.support.networks import constant, cpu_profile, tiny_model


def bench(*words: str) -> int:
    parser = argparse.ArgumentParser()
    bench_faces.add_arguments(parser)
    return bench_faces.main(parser.parse_args(words), Settings())


def test_bench_shows_each_way_beside_single_calls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Single calls are the measure, so that they are 1.00 of themselves."""
    monkeypatch.setattr(bench_faces, "loaded", lambda *_: tiny_model(constant(0.5)))
    monkeypatch.setattr(bench_faces, "untrained_upstream", lambda *_: len)
    assert bench("--crops", "2", "--rounds", "2") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "model_loaded" not in line]
    assert "2 crops of 512 x 512" in lines[0]
    ways = ["upstream's network", "one after another", "as a worker takes them"]
    assert [line[:23].strip() for line in lines[1:]] == ways
    assert "1.00 times (1.00 to 1.00)" in lines[2]


@torch.inference_mode()
def test_upstreams_network_takes_the_same_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside which ours is measured: in float32 as torch comes, of which a lane makes an exact one for the process."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    exact: list[bool] = []
    forward = GFPGANv1Clean.forward

    def noting(network: GFPGANv1Clean, *given: object, **options: object) -> object:
        exact.append(not torch.backends.cudnn.allow_tf32)
        return forward(network, *given, **options)

    monkeypatch.setattr(GFPGANv1Clean, "forward", noting)
    crop = np.full((512, 512, 3), 128, np.uint8)
    untrained_upstream(catalog.find("gfpgan-v1.4"), cpu_profile(), 1)([crop])

    assert exact == [False]
    assert torch.backends.cudnn.allow_tf32 is False


def test_bench_refuses_a_network_that_restores_no_faces() -> None:
    """By the argument's name."""
    with pytest.raises(PipelineError, match="--model: must be one that restores faces, got realesrgan-x4plus"):
        bench("--model", "x4plus")


@torch.inference_mode()
def test_untrained_network_computes_finite_pixels() -> None:
    """In the layout of the published file; sums that overflow would be computed twice, and measured so."""
    model = untrained(catalog.find("gfpgan-v1.4"), cpu_profile(), 1)
    crop = np.full((512, 512, 3), 128, np.uint8)
    assert infer(model, [crop], "cpu")[0].shape == crop.shape
    assert bool(torch.isfinite(model.network(torch.rand(1, 3, 512, 512))).all())
