"""Raster: a decoded picture, upright and in sRGB, whatever file it came from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def interleaved(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Shape (height, width, channels + 1): alpha as the last channel."""
    height, width, channels = pixels.shape
    samples: Pixels = np.empty((height, width, channels + 1), dtype=pixels.dtype)
    samples[..., :channels] = pixels
    samples[..., channels] = alpha
    return samples


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Samples of one picture. Arrays are not written to after construction."""

    pixels: Pixels
    """Shape (height, width, channels), channels 3 (RGB) or 1 (grey), C-contiguous; uint8 or uint16. Gamma is
    sRGB, orientation applied, colour not premultiplied by alpha."""
    alpha: Pixels | None = None
    """Shape (height, width), dtype of `pixels`; None when opaque."""
    exif: bytes | None = None
    """The source's EXIF block with orientation removed, kept only when the caller asked for it."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3) or 0 in self.pixels.shape:
            raise ValueError(f"pixels: shape must be (height, width, 1 or 3) and not empty, got {self.pixels.shape}")
        if self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"pixels: dtype must be uint8 or uint16, got {self.pixels.dtype}")
        if self.alpha is not None and (
            self.alpha.shape != self.pixels.shape[:2] or self.alpha.dtype != self.pixels.dtype
        ):
            raise ValueError(
                f"alpha: must be {self.pixels.dtype} of shape {self.pixels.shape[:2]}, "
                f"got {self.alpha.dtype} of shape {self.alpha.shape}"
            )

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def is_grey(self) -> bool:
        return bool(self.pixels.shape[2] == 1)

    @property
    def bit_depth(self) -> int:
        return 8 * self.pixels.dtype.itemsize
