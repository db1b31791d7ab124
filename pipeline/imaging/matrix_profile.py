"""Matrix profile: RGB and grey ICC profiles (ICC.1:2022) applied at 16 bits, which the colour engine's binding cannot.

Covers profiles made of tone curves and, for RGB, three colorants: those of cameras, displays and working spaces.
"""

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.imaging.raster import Pixels
from pipeline.imaging.tone_curve import LEVELS, Floats, tone_curve

STRIP_ROWS = 64
MAX_TAGS = 100
_INDISTINCT = 64
"""16-bit levels by which a profile may differ from sRGB and still count as sRGB: a quarter of an 8-bit level."""
_SRGB_COLORANTS = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]], dtype=np.float64
)
"""IEC 61966-2-1 primaries adapted to D50, as columns of XYZ."""


@dataclass(frozen=True, slots=True, eq=False)
class MatrixProfile:
    """What turns encoded samples into linear sRGB light."""

    curves: tuple[Floats, ...]
    """For each channel the linear light of each sample value."""
    matrix: Floats
    """(channels, channels); the identity for grey."""

    def to_srgb(self, pixels: Pixels) -> Pixels:
        """`pixels` (height, width, channels) of uint16 in sRGB; the same array when the profile is sRGB's own."""
        if self._is_srgb():
            return pixels
        result = np.empty_like(pixels)
        for top in range(0, pixels.shape[0], STRIP_ROWS):
            result[top : top + STRIP_ROWS] = self._converted(pixels[top : top + STRIP_ROWS])
        return result

    def _is_srgb(self) -> bool:
        """Whether greys and pure colours come out as they went in."""
        channels = len(self.curves)
        levels = np.arange(0, LEVELS, 257, dtype=np.uint16)[:, None, None]
        colours = np.concatenate([np.ones((1, channels), np.uint16), np.eye(channels, dtype=np.uint16)])
        chart = levels * colours
        return bool(np.abs(self._converted(chart).astype(np.int32) - chart).max() <= _INDISTINCT)

    def _converted(self, strip: Pixels) -> Pixels:
        light = np.stack([curve[strip[..., channel]] for channel, curve in enumerate(self.curves)], axis=-1)
        encoded = _encoded(np.clip(light @ self.matrix.T, 0, 1))
        result: Pixels = np.rint(encoded * np.float32(LEVELS - 1)).astype(np.uint16)
        return result


def parse(profile: bytes) -> MatrixProfile:
    """Read a profile. Raises `ValueError` when it is broken or works by tables instead."""
    try:
        tags = _tags(profile)
        if b"A2B0" in tags:
            raise ValueError("profile: works by tables")
        if b"kTRC" in tags:
            return MatrixProfile((tone_curve(tags[b"kTRC"]),), np.eye(1, dtype=np.float32))
        colorants = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        curves = tuple(tone_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, struct.error) as error:
        raise ValueError(f"profile: a tag is missing or cut short: {error}") from None
    return MatrixProfile(curves, (np.linalg.inv(_SRGB_COLORANTS) @ colorants).astype(np.float32))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = min(struct.unpack_from(">I", profile, 128)[0], MAX_TAGS)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count))
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> npt.NDArray[np.float64]:
    return np.array(struct.unpack_from(">iii", tag, 8), dtype=np.float64) / 65_536


def _encoded(light: Floats) -> Floats:
    """IEC 61966-2-1: linear light to sRGB."""
    curved = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    encoded: Floats = np.where(light <= np.float32(0.0031308), light * np.float32(12.92), curved)
    return encoded
