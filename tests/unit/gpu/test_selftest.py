"""The known tile and its answers."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.gpu.model import load
from pipeline.gpu.models.catalog import WITH_THE_INSTALL
from pipeline.gpu.models.specs import ModelSpec, Precision, Purpose
from pipeline.gpu.selftest import EXPECTED, WrongAnswer, check
from tests.support.networks import constant, cpu_profile, repeating, tiny_model

UPSCALERS = [spec for spec in WITH_THE_INSTALL if spec.purpose is Purpose.UPSCALE]


def test_every_upscaler_of_the_install_has_a_known_answer() -> None:
    """A new one cannot be added without."""
    assert list(EXPECTED) == [spec.name for spec in UPSCALERS]


@pytest.mark.weights
@pytest.mark.parametrize("spec", UPSCALERS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_every_model_gives_its_known_answer(spec: ModelSpec, precision: Precision, tmp_path: Path) -> None:
    """On this device, with the weights of the install, in each precision of a CPU."""
    check(load(spec.name, replace(cpu_profile(), precision=precision), tmp_path), "cpu")


@pytest.mark.parametrize("network", [constant(0.0), constant(0.5), repeating])
@torch.inference_mode()
def test_a_wrong_answer_is_told(network: object) -> None:
    """Black, grey, or the input merely enlarged: none of them passes for the network's work."""
    assert callable(network)

    with pytest.raises(WrongAnswer, match="samples must be"):
        check(tiny_model(network), "cpu")
