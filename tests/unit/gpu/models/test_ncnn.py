"""Reading ncnn's files."""

import numpy as np
import pytest

from pipeline.gpu.models import ncnn
from pipeline.gpu.models.ncnn import DamagedModel
from pipeline.gpu.models.specs import RRDBShape, SRVGGShape
from tests.support.ncnn_files import FLOAT16, FLOAT32, SMALLEST, write


@pytest.mark.parametrize("tag", [FLOAT16, FLOAT32, 0])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_reader_returns_what_was_written(tag: int, line_end: str) -> None:
    """Every array comes back equal, under upstream's name, whatever its storage and the text's line ends."""
    files = write(tag=tag, line_end=line_end)

    arrays = ncnn.state_dict(files.param, files.blob, SMALLEST)

    assert list(arrays) == list(files.arrays)
    assert all(np.array_equal(arrays[name], array) for name, array in files.arrays.items())
    assert all(array.dtype == np.float32 for array in arrays.values())


def test_reader_refuses_a_shortened_file() -> None:
    """A file that ends early is never filled up."""
    files = write()

    with pytest.raises(DamagedModel, match=r"bin: must hold at least"):
        ncnn.state_dict(files.param, files.blob[:-4], SMALLEST)


def test_reader_refuses_a_lengthened_file() -> None:
    """Bytes that belong to no layer mean that the layers were misread."""
    files = write()

    with pytest.raises(DamagedModel, match=r"bin: must end at byte"):
        ncnn.state_dict(files.param, files.blob + bytes(4), SMALLEST)


@pytest.mark.parametrize("blob", [b"", b"\x01\x02\x03\x04" + bytes(1000)])
def test_reader_refuses_storage_it_does_not_know(blob: bytes) -> None:
    """Quantised or foreign weights are not read as floats."""
    with pytest.raises(DamagedModel, match="bin: "):
        ncnn.state_dict(write().param, blob, SMALLEST)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("7767517", "7767518"),
        ("PReLU PRelu_1", "ReLU PRelu_1"),
        ("6=1728", "6=1729"),
        ("5=1 6=27648", "5=1 6=27648 9=2 -23310=1,2.000000e-01"),
        ("PixelShuffle DepthToSpace_3 1 1 e f 0=4", "PixelShuffle DepthToSpace_3 1 1 e f 0=2"),
        ("BinaryOp Add_5 2 1 f g output\n", ""),
        ("PReLU PRelu_1 1 1 c d 0=64", "PReLU PRelu_1 one 1 c d 0=64"),
        ("PReLU PRelu_1 1 1 c d 0=64", "PReLU"),
    ],
)
def test_reader_refuses_another_graph(old: str, new: str) -> None:
    """A layer of another kind, size or activation means another network, whose numbers would be garbage in ours."""
    files = write()
    assert old in files.param

    with pytest.raises(DamagedModel):
        ncnn.state_dict(files.param.replace(old, new), files.blob, SMALLEST)


@pytest.mark.parametrize("architecture", [SRVGGShape(convs=1), RRDBShape(blocks=1)])
def test_reader_refuses_files_of_another_architecture(architecture: SRVGGShape | RRDBShape) -> None:
    """The catalog's word counts, not the file's."""
    files = write()

    with pytest.raises(DamagedModel, match="layers: must be"):
        ncnn.state_dict(files.param, files.blob, architecture)
