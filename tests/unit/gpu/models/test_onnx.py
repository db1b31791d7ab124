"""Guarantees of pipeline.gpu.models.onnx: weights that come as an ONNX graph inside a package."""

import numpy as np
import pytest
import torch

from pipeline.gpu.models import catalog, weights
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.onnx import retinaface
from pipeline.gpu.models.specs import PackagedOnnx
from pipeline.gpu.networks.faces import upstream_face_network
from tests.support.onnx_files import convolution, graph, module, tensor

WEIGHT, BIAS = np.arange(8, dtype=np.float32).reshape(2, 4, 1, 1), np.array([3, 5], np.float32)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/fx/stage1/stage1.0/stage1.0.0/Conv", "body.stage1.0.0"),
        ("/fx/stage2/stage2.3/stage2.3.0/stage2.3.0.0/Conv", "body.stage2.3.0"),
        ("/fx/stage2/stage2.3/stage2.3.1/stage2.3.1.0/Conv", "body.stage2.3.3"),
        ("/fpn/merge1/merge1.0/Conv", "fpn.merge1.0"),
        ("/ssh3/conv7x7_3/conv7x7_3.0/Conv", "ssh3.conv7x7_3.0"),
    ],
)
def test_convolution_is_found_under_facexlibs_name(path: str, name: str) -> None:
    """Its batch norm is part of it in the graph, and becomes one that adds the bias and changes nothing else."""
    arrays = retinaface(module(graph(convolution(path, "w", "b"), w=WEIGHT, b=BIAS)))
    block, _, index = name.rpartition(".")
    norm = torch.nn.BatchNorm2d(2).eval()
    with torch.no_grad():
        for part in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, part).copy_(torch.from_numpy(arrays.pop(f"{block}.{int(index) + 1}.{part}")))
        normed = norm(torch.full((1, 2, 1, 1), 10.0)).flatten()
    np.testing.assert_allclose(normed, 10 + BIAS, rtol=1e-6)
    np.testing.assert_array_equal(WEIGHT, arrays.pop(f"{name}.weight"))
    assert arrays == {}


def test_head_keeps_its_bias() -> None:
    """Heads have no batch norm."""
    arrays = retinaface(module(graph(convolution("/bbox_head/bbox_head.2/Conv", "w", "b"), w=WEIGHT, b=BIAS)))
    assert sorted(arrays) == ["BboxHead.2.conv1x1.bias", "BboxHead.2.conv1x1.weight"]
    np.testing.assert_array_equal(BIAS, arrays["BboxHead.2.conv1x1.bias"])


def test_convolution_called_twice_is_read_once() -> None:
    """The second call's weights are copies that the graph makes, and no tensors of the file."""
    twice = convolution("/ssh1/conv5X5_1/conv5X5_1.0_1/Conv", "copy", "copy of b")
    arrays = retinaface(module(graph(twice, convolution("/fpn/merge1/merge1.0/Conv", "w", "b"), w=WEIGHT, b=BIAS)))
    assert {name.rpartition(".")[0] for name in arrays} == {"fpn.merge1.0", "fpn.merge1.1"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WEIGHTS = 'text'",
        "WEIGHTS = __import__('os').getcwd()",
        "WEIGHTS = b''",
        module(b"\x3a\x05ab"),  # a graph of five bytes in which there are two
        module(b"\x3b"),  # a wire type that is no more
        module(b"\x80"),  # a number that does not end
        module(graph(tensor("w", WEIGHT)[:-3])),
    ],
)
def test_damaged_module_is_refused_and_never_run(text: str) -> None:
    """Whatever is wrong with it, it is one kind of error."""
    with pytest.raises(DamagedModel, match="no ONNX graph of RetinaFace"):
        retinaface(text)


@pytest.mark.weights
def test_weights_that_come_with_the_install_fit_facexlibs_network() -> None:
    """All of it, and nothing else."""
    spec = catalog.find("retinaface-mobile0.25")
    found = weights.load(spec, weights.default_folder() / "absent")
    assert isinstance(spec.carried, PackagedOnnx)
    assert found.sha256 == spec.carried.sha256
    upstream_face_network(spec.architecture, found.tensors)
