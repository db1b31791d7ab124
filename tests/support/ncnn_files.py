"""ncnn files of the smallest network of the SRVGG family, written by hand from the format's description."""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gpu.models.specs import SRVGGShape

SMALLEST = SRVGGShape(convs=0)
FLOAT16 = 0x01306B47
FLOAT32 = 0x0002C056

_LINES = (
    "7767517",
    "8 9",
    "Input input.1 0 1 data",
    "Split split 1 2 data a b",
    "Convolution Conv_0 1 1 b c 0=64 1=3 4=1 5=1 6=1728",
    "PReLU PRelu_1 1 1 c d 0=64",
    "Convolution Conv_2 1 1 d e 0=48 1=3 4=1 5=1 6=27648",
    "PixelShuffle DepthToSpace_3 1 1 e f 0=4",
    "Interp Resize_4 1 1 a g 0=1 1=4.000000e+00 2=4.000000e+00",
    "BinaryOp Add_5 2 1 f g output",
    "",
)


@dataclass(frozen=True, slots=True)
class NcnnFiles:
    """A .param, its .bin, and the arrays that were written into it."""

    param: str
    blob: bytes
    arrays: dict[str, npt.NDArray[np.float32]]


def write(*, tag: int = FLOAT16, line_end: str = "\n") -> NcnnFiles:
    """Both files; weights are exact in float16, so that they come back unchanged."""
    random = np.random.default_rng(7)

    def draw(*shape: int) -> npt.NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float16).astype(np.float32)

    arrays = {
        "body.0.weight": draw(64, 3, 3, 3),
        "body.0.bias": draw(64),
        "body.1.weight": draw(64),
        "body.2.weight": draw(48, 64, 3, 3),
        "body.2.bias": draw(48),
    }
    parts = [
        struct.pack("<I", tag) + _weight(array, tag) if array.ndim == 4 else array.tobytes()
        for array in arrays.values()
    ]
    return NcnnFiles(line_end.join(_LINES), b"".join(parts), arrays)


def _weight(array: npt.NDArray[np.float32], tag: int) -> bytes:
    return array.astype("<f2").tobytes() if tag == FLOAT16 else array.tobytes()
