"""Tone curve: an ICC `curv` or `para` tag (ICC.1:2022, 10.6 and 10.18) as linear light for each 16-bit sample."""

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Shape = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
LEVELS = 65_536
_FIXED_ONE = 65_536
"""1.0 in the profile's 16.16 fixed point."""
_PARAMETERS = (1, 3, 4, 5, 7)
"""How many numbers each of the five parametric functions has."""


def tone_curve(tag: bytes) -> Floats:
    """Linear light, 0 to 1, for each of the 65,536 sample values. Raises `ValueError` for a curve of no known type
    and `struct.error` for one that is cut short."""
    shape = _sampled(tag) if tag[:4] == b"curv" else _parametric(tag)
    with np.errstate(all="ignore"):  # absurd parameters are clipped with the rest
        light: Floats = np.clip(np.nan_to_num(shape(np.linspace(0, 1, LEVELS))), 0, 1).astype(np.float32)
    return light


def _sampled(tag: bytes) -> Shape:
    count = struct.unpack_from(">I", tag, 8)[0]
    if count == 0:
        return lambda x: x
    if count == 1:
        gamma = struct.unpack_from(">H", tag, 12)[0] / 256
        return lambda x: x**gamma
    table = np.frombuffer(tag, dtype=">u2", count=count, offset=12) / (LEVELS - 1)
    return lambda x: np.interp(x, np.linspace(0, 1, count), table)


def _parametric(tag: bytes) -> Shape:
    """All five functions are (a x + b)^g + e from d on and c x + f below."""
    kind = struct.unpack_from(">H", tag, 8)[0]
    if tag[:4] != b"para" or kind >= len(_PARAMETERS):
        raise ValueError("profile: a tone curve is of no known type")
    values = [value / _FIXED_ONE for value in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = _seven(values)
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


def _seven(values: list[float]) -> tuple[float, ...]:
    match values:
        case [g]:
            return g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        case [g, a, b]:
            return g, a, b, 0.0, -b / a if a else 0.0, 0.0, 0.0
        case [g, a, b, floor]:
            return g, a, b, 0.0, -b / a if a else 0.0, floor, floor
        case [g, a, b, c, d]:
            return g, a, b, c, d, 0.0, 0.0
    return tuple(values)
