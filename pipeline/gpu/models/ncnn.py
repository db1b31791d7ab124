"""ncnn's .param and .bin -> arrays under upstream's parameter names.

Format, from ncnn's documentation and its ModelBin reader: `.param` is text, one layer a line after two header lines;
`.bin` holds the layers' arrays in that order without names, offsets or lengths. A convolution's weight is preceded by
a 4-byte tag and padded to 4 bytes; biases and slopes are bare float32. So the file can only be read by one who knows
the network, and any disagreement is an error, never a guess.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gpu.models.specs import RRDBShape, SRVGGShape

Floats = npt.NDArray[np.float32]

MAGIC = "7767517"
TAG_FLOAT16 = 0x01306B47
TAGS_FLOAT32 = (0, 0x0002C056)

_NO_COMPUTATION = ("Input", "Split")
_ADD_SCALED = {"0": "1", "-23301": "2,2.000000e-01,1.000000e+00"}
_NEAREST_X2 = {"0": "1", "1": "2.000000e+00", "2": "2.000000e+00"}
_NEAREST_X4 = {"0": "1", "1": "4.000000e+00", "2": "4.000000e+00"}
_LEAKY = {"9": "2", "-23310": "1,2.000000e-01"}
_FEATURES = 64
_GROWTH = 32


class DamagedModel(ValueError):
    """The files are not the network they should be: which layer, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of .param."""

    kind: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One layer as the architecture wants it; `name` is upstream's, and empty where nothing is learnt."""

    kind: str
    parameters: Mapping[str, str]
    name: str = ""
    shape: tuple[int, ...] = ()


def state_dict(param: str, blob: bytes, architecture: RRDBShape | SRVGGShape) -> dict[str, Floats]:
    """All parameters, float32, in upstream's names and order (OIHW). Raises `DamagedModel`."""
    layers = [layer for layer in parse(param) if layer.kind not in _NO_COMPUTATION]
    steps = list(_steps(architecture))
    if len(layers) != len(steps):
        raise DamagedModel(f"layers: must be {len(steps)}, got {len(layers)}")
    reader = _Reader(blob)
    arrays: dict[str, Floats] = {}
    for index, (layer, step) in enumerate(zip(layers, steps, strict=True)):
        _check(index, layer, step)
        arrays.update(_arrays(step, reader))
    reader.end()
    return arrays


def parse(param: str) -> list[Layer]:
    """The layers of a .param file, with either line ending. Raises `DamagedModel`."""
    lines = param.split("\n")
    if lines[0].strip() != MAGIC:
        raise DamagedModel(f"param: must begin with {MAGIC}, got {lines[0][:20]!r}")
    return [_layer(line) for line in lines[2:] if line.strip()]


def _layer(line: str) -> Layer:
    words = line.split()
    try:
        first = 4 + int(words[2]) + int(words[3])
        parameters = dict(word.partition("=")[::2] for word in words[first:])
    except (ValueError, IndexError):
        raise DamagedModel(f"param: not a layer: {line[:60]!r}") from None
    return Layer(words[0], parameters)


def _arrays(step: Step, reader: "_Reader") -> Iterator[tuple[str, Floats]]:
    """A layer's arrays as the file orders them: a convolution's weight then bias; a PReLU's slopes alone."""
    if step.kind == "Convolution":
        yield f"{step.name}.weight", reader.tagged(step.shape)
        yield f"{step.name}.bias", reader.bare(step.shape[:1])
    elif step.kind == "PReLU":
        yield f"{step.name}.weight", reader.bare(step.shape)


def _check(index: int, layer: Layer, step: Step) -> None:
    if layer.kind != step.kind or layer.parameters != step.parameters:
        raise DamagedModel(
            f"layer {index} ({step.name or step.kind}): must be {step.kind} {dict(step.parameters)}, "
            f"got {layer.kind} {dict(layer.parameters)}"
        )


def _steps(architecture: RRDBShape | SRVGGShape) -> Iterator[Step]:
    if isinstance(architecture, RRDBShape):
        return _rrdb_steps(architecture.blocks)
    return _srvgg_steps(architecture.convs)


def _convolution(name: str, inputs: int, outputs: int, *, leaky: bool) -> Step:
    parameters = {"0": f"{outputs}", "1": "3", "4": "1", "5": "1", "6": f"{inputs * outputs * 9}"}
    return Step("Convolution", parameters | (_LEAKY if leaky else {}), name, (outputs, inputs, 3, 3))


def _rrdb_steps(blocks: int) -> Iterator[Step]:
    """The graph of upstream's RRDBNet, x4; residual scalings are layers of their own, leaky ReLUs are fused."""
    yield _convolution("conv_first", 3, _FEATURES, leaky=False)
    for block in range(blocks):
        for dense in (1, 2, 3):
            yield from _dense_steps(f"body.{block}.rdb{dense}")
        yield Step("Eltwise", _ADD_SCALED)
    yield _convolution("conv_body", _FEATURES, _FEATURES, leaky=False)
    yield Step("BinaryOp", {})
    for name in ("conv_up1", "conv_up2"):
        yield Step("Interp", _NEAREST_X2)
        yield _convolution(name, _FEATURES, _FEATURES, leaky=True)
    yield _convolution("conv_hr", _FEATURES, _FEATURES, leaky=True)
    yield _convolution("conv_last", _FEATURES, 3, leaky=False)


def _dense_steps(name: str) -> Iterator[Step]:
    for conv in (1, 2, 3, 4):
        yield _convolution(f"{name}.conv{conv}", _FEATURES + (conv - 1) * _GROWTH, _GROWTH, leaky=True)
        yield Step("Concat", {})
    yield _convolution(f"{name}.conv5", _FEATURES + 4 * _GROWTH, _FEATURES, leaky=False)
    yield Step("Eltwise", _ADD_SCALED)


def _srvgg_steps(convs: int) -> Iterator[Step]:
    """The graph of upstream's SRVGGNetCompact, x4."""
    for index in range(convs + 1):
        yield _convolution(f"body.{2 * index}", _FEATURES if index else 3, _FEATURES, leaky=False)
        yield Step("PReLU", {"0": f"{_FEATURES}"}, f"body.{2 * index + 1}", (_FEATURES,))
    yield _convolution(f"body.{2 * convs + 2}", _FEATURES, 48, leaky=False)
    yield Step("PixelShuffle", {"0": "4"})
    yield Step("Interp", _NEAREST_X4)
    yield Step("BinaryOp", {})


class _Reader:
    """Walks a .bin from front to back."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._offset = 0

    def tagged(self, shape: tuple[int, ...]) -> Floats:
        tag = self._tag()
        count = int(np.prod(shape))
        if tag == TAG_FLOAT16:
            return self._take(count + count % 2, "<f2")[:count].reshape(shape)
        if tag in TAGS_FLOAT32:
            return self.bare(shape)
        raise DamagedModel(
            f"bin: weights at byte {self._offset - 4} have tag {tag:#010x}, which is not float16 or float32"
        )

    def bare(self, shape: tuple[int, ...]) -> Floats:
        return self._take(int(np.prod(shape)), "<f4").reshape(shape)

    def end(self) -> None:
        if self._offset != len(self._blob):
            raise DamagedModel(f"bin: must end at byte {self._offset}, got {len(self._blob)} bytes")

    def _tag(self) -> int:
        end = self._offset + 4
        tag = int.from_bytes(self._blob[self._offset : end], "little")
        self._offset = end
        return tag

    def _take(self, count: int, dtype: str) -> Floats:
        start, self._offset = self._offset, self._offset + count * np.dtype(dtype).itemsize
        if self._offset > len(self._blob):
            raise DamagedModel(f"bin: must hold at least {self._offset} bytes, got {len(self._blob)}")
        return np.frombuffer(self._blob, dtype, count, start).astype(np.float32)
