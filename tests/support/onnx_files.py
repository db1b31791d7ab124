"""ONNX graphs, written by hand, and Python modules that hold them."""

import numpy as np
import numpy.typing as npt


def module(blob: bytes) -> str:
    """The text of a module that assigns `blob`."""
    graph = _bytes(7, blob) if not blob.startswith((b"\x3a", b"\x3b", b"\x80")) else blob
    return f"WEIGHTS = {graph!r}\n"


def graph(*parts: bytes, **tensors: npt.NDArray[np.float32]) -> bytes:
    """The content of a graph with these parts and tensors."""
    return b"".join((*parts, *(tensor(name, array) for name, array in tensors.items())))


def convolution(path: str, weight: str, bias: str) -> bytes:
    """A node of a graph."""
    texts = ((1, "input"), (1, weight), (1, bias), (2, "output"), (3, path), (4, "Conv"))
    return _bytes(1, b"".join(_bytes(number, text.encode()) for number, text in texts))


def tensor(name: str, array: npt.NDArray[np.float32]) -> bytes:
    """A tensor of a graph."""
    sides = b"".join(bytes((1 << 3, side)) for side in array.shape)
    kind = bytes((2 << 3, 1))
    return _bytes(5, sides + kind + _bytes(8, name.encode()) + _bytes(9, array.tobytes()))


def _bytes(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes((low | 0x80,)) + _varint(rest) if rest else bytes((low,))
