"""Tone curves of ICC profiles."""

import struct

import numpy as np
import pytest

from pipeline.imaging.tone_curve import LEVELS, tone_curve

X = np.linspace(0, 1, LEVELS)
SRGB_LIGHT = np.where(X <= 0.04045, X / 12.92, ((X + 0.055) / 1.055) ** 2.4)


def parametric(kind: int, *values: float) -> bytes:
    """A `para` tag."""
    return b"para" + bytes(4) + struct.pack(f">HH{len(values)}i", kind, 0, *(round(v * 65_536) for v in values))


def sampled(*values: int) -> bytes:
    """A `curv` tag."""
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (sampled(), X),
        (sampled(round(2.2 * 256)), X ** (round(2.2 * 256) / 256)),
        (sampled(0, 16_384, 65_535), np.interp(X, [0, 0.5, 1], [0, 16_384 / 65_535, 1])),
        (parametric(0, 2.0), X**2),
        (parametric(1, 2.0, 0.5, -0.25), np.maximum(0.5 * X - 0.25, 0) ** 2),
        (parametric(2, 2.0, 0.5, -0.25, 0.125), np.maximum(0.5 * X - 0.25, 0) ** 2 + 0.125),
        (parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), SRGB_LIGHT),
        (parametric(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0), SRGB_LIGHT),
    ],
    ids=["identity", "gamma", "table", "type 0", "type 1", "type 2", "type 3", "type 4"],
)
def test_tone_curve_is_what_the_specification_says(tag: bytes, expected: np.ndarray) -> None:
    """Every form of curve gives the light of its formula."""
    assert np.abs(tone_curve(tag) - expected).max() < 1e-3


@pytest.mark.parametrize("tag", [parametric(5, 1.0), b"text" + bytes(20)])
def test_tone_curve_refuses_unknown_forms(tag: bytes) -> None:
    """A curve of another kind is an error, not a guess."""
    with pytest.raises(ValueError, match="no known type"):
        tone_curve(tag)


def test_tone_curve_stays_within_range_for_absurd_parameters() -> None:
    """Light is between 0 and 1 whatever the numbers are."""
    curve = tone_curve(parametric(3, -3.0, 0.0, 0.0, 100.0, 0.5))

    assert np.isfinite(curve).all()
    assert curve.min() >= 0
    assert curve.max() <= 1
