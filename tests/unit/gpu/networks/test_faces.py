"""Guarantees of pipeline.gpu.networks.faces; parity with upstream is in tests/parity/test_faces.py."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.gpu.infer import infer
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import FaceShape
from pipeline.gpu.networks import faces as face_networks
from pipeline.gpu.networks.faces import (
    CODEFORMER,
    CODEFORMER_PACKAGE,
    Parser,
    face_network,
    priors,
    upstream_face_network,
)
from pipeline.gpu.networks.unsupported import UnsupportedNetwork
from pipeline.gpu.networks.upstream import retinaface_utils
from tests.support.errors_between import assert_within
from tests.support.face_networks import loaded, narrow_gfpgan, narrow_parsenet, random_state
from tests.support.images import make_pixels

SIDE = 512


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    narrow: dict[str, Callable[..., nn.Module]] = {"GFPGANv1Clean": narrow_gfpgan, "ParseNet": narrow_parsenet}
    monkeypatch.setattr(face_networks, "FACE_NETWORKS", {**face_networks.FACE_NETWORKS, **narrow})
    with torch.inference_mode():
        yield


def crops(count: int) -> list[Any]:
    return [make_pixels(SIDE, SIDE, pattern="gradient") // (index + 1) for index in range(count)]


def test_a_face_among_others_is_what_it_is_alone() -> None:
    """To a step in the last place; and the same a second time, for its noise is not left to chance."""
    restorer = loaded("gfpgan-v1.4", random_state(narrow_gfpgan()))
    first, second = infer(restorer, crops(2), "cpu")
    alone, again = (infer(restorer, crops(2)[1:], "cpu")[0] for _ in range(2))
    assert_within(second, alone, steps=1)
    np.testing.assert_array_equal(alone, again)
    assert alone.std() > 10
    assert (first != second).any()


def test_sixteen_bit_crops_share_a_launch_with_others() -> None:
    """Each comes back in its own dtype, the same face at more bits."""
    restorer = loaded("gfpgan-v1.4", random_state(narrow_gfpgan()))
    (crop,) = crops(1)
    plain, deep = infer(restorer, [crop, crop.astype(np.uint16) * 257], "cpu")
    assert (plain.dtype, deep.dtype) == (np.uint8, np.uint16)
    assert np.abs(deep / 257 - plain).max() <= 1


def test_sixteen_bit_arithmetic_is_as_good_as_the_eye() -> None:
    """45 dB and more on random weights; trained ones are smoother."""
    state = random_state(narrow_gfpgan())
    exact, fast = (infer(loaded("gfpgan-v1.4", state, p), crops(1), "cpu")[0].astype(float) for p in ("fp32", "bf16"))
    error = ((exact - fast) ** 2).mean()
    assert error > 0
    assert 10 * np.log10(255**2 / error) > 45


def test_parser_says_yes_or_no_and_nothing_between() -> None:
    """Three equal channels of 0 and the largest value, by the classes that upstream pastes."""
    state = random_state(narrow_parsenet())
    parser = loaded("parsenet", state)
    (mask,) = infer(parser, crops(1), "cpu")
    module = upstream_face_network(FaceShape("ParseNet"), state)
    classes = module(torch.from_numpy(crops(1)[0]).permute(2, 0, 1)[None].div(255).sub(0.5).div(0.5))[0].argmax(1)[0]
    assert len(classes.unique()) > 3
    pasted = (~torch.isin(classes, torch.tensor([0, 14, 16, 17, 18]))).numpy() * np.uint8(255)
    np.testing.assert_array_equal(np.repeat(pasted[..., None], 3, axis=2), mask)


def test_parser_pastes_the_classes_that_upstream_pastes() -> None:
    """Of each of its 19 classes, by facexlib's table of colours."""
    colours = [0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 255, 0, 0, 0]
    net: Any = lambda _: (torch.eye(19).view(1, 19, 19, 1), None)  # noqa: E731
    cells = Parser(net, torch.float32)(torch.zeros(1, 3, 19, 1))
    assert [int(255 * value) for value in cells.view(19, 3)[:, 0]] == colours


@pytest.mark.parametrize("kind", ["RetinaFace", "RetinaFace of MobileNet"])
def test_retinaface_is_told_by_its_parameters(kind: str) -> None:
    """The two kinds share a name, and files saved from several devices prefix theirs."""
    module = face_networks.FACE_NETWORKS[kind]()
    state = {f"module.{name}": value for name, value in random_state(module).items()}
    rows = face_network(FaceShape("RetinaFace"), state, "cpu", "bf16")(torch.zeros(1, 3, 40, 50))
    assert rows.shape == (2 * (5 * 7 + 3 * 4 + 2 * 2), 15)
    assert rows.dtype == torch.float32


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 50), (64, 64)])
def test_priors_are_facexlibs(height: int, width: int) -> None:
    """To the last bit."""
    config = {"steps": [8, 16, 32], "min_sizes": [[16, 32], [64, 128], [256, 512]], "clip": False}
    theirs = retinaface_utils.PriorBox(config, image_size=(height, width)).forward()
    assert torch.equal(theirs, priors(config, height, width))


def test_file_of_another_network_is_refused() -> None:
    """By name, before anything runs."""
    with pytest.raises(DamagedModel, match="parameters"):
        upstream_face_network(FaceShape("GFPGANv1Clean"), {"body.0.bias": torch.zeros(3)})


def test_codeformer_is_refused_without_the_package_that_has_its_code() -> None:
    """It is none of our dependencies: whoever may use it brings it."""
    assert find_spec(CODEFORMER_PACKAGE) is None
    with pytest.raises(UnsupportedNetwork, match=f"who may use it installs the package {CODEFORMER_PACKAGE}"):
        upstream_face_network(FaceShape(CODEFORMER), {"position_emb": torch.zeros(3)})
