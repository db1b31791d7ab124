"""Every network of the install still gives the answer on file, and the test can tell when one does not."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.gpu.models import weights
from pipeline.gpu.models.specs import ModelSpec
from tests.support import golden

pytestmark = [pytest.mark.parity, pytest.mark.weights]


def tensors_of(spec: ModelSpec) -> dict[str, Tensor]:
    return dict(weights.load(spec, Path("none")).tensors)


def test_answers_on_file_are_of_these_weights_and_this_photograph() -> None:
    """A network without an answer, or one made of other weights, is told as that and not as drift."""
    assert golden.made_of() == golden.digests(), "look at the new pictures, then python -m tests.support.golden"


@pytest.mark.parametrize("spec", golden.installed(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("threads", [1, 2])
def test_network_gives_the_answer_on_file(spec: ModelSpec, threads: int) -> None:
    """Float32 on the CPU, with one thread and with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        golden.check(spec, golden.answer(spec, tensors_of(spec)))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("spec", golden.installed(), ids=lambda spec: spec.name)
def test_a_convolution_that_is_one_percent_off_is_noticed(spec: ModelSpec) -> None:
    """One of those in the middle of the network: the least change that somebody could make by mistake."""
    tensors = tensors_of(spec)
    weighted = [name for name, tensor in tensors.items() if tensor.ndim == 4]
    name = weighted[len(weighted) // 2]
    tensors[name] = tensors[name] * 1.01

    with pytest.raises(AssertionError, match=rf"^{spec.name}: .* of samples differ"):
        golden.check(spec, golden.answer(spec, tensors))
