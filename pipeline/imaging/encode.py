"""Encode: a raster becomes a file of the format that was asked for."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from pipeline.errors import JobFailed
from pipeline.imaging import png_write
from pipeline.imaging.raster import Pixels, Raster, interleaved
from schemas.failures import FailureCode
from schemas.options import OutputFormat
from schemas.remarks import Remark

MAX_SIDES: Mapping[OutputFormat, int] = {
    OutputFormat.PNG: 2**31 - 1,
    OutputFormat.JPEG: 65_500,
    OutputFormat.WEBP: 16_383,
}
"""Pixels that a side may have. JPEG itself ends at 65,535; its library writes no more than this."""
HALVED_COLOUR_QUALITY = 95
"""Up to this quality JPEG stores colour at half resolution (4:2:0), as usual; who asks for more gets all of it."""
WEBP_EFFORT = 2
"""Of 0 to 6. Measured on a photograph: half the time of the default 4 for files 2 % larger."""
_WHITE = 255
_PROFILE_DATE = struct.pack(">6H", 1999, 10, 18, 0, 0, 0)
"""When sRGB was published (IEC 61966-2-1); position 24 of a profile."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A finished file."""

    data: bytes
    format: OutputFormat
    width: int
    height: int
    warnings: tuple[str, ...] = ()
    """What the format could not carry, of `Remark`."""


def check_output(width: int, height: int, output_format: OutputFormat, max_pixels: int) -> None:
    """Refuse a result before anything is computed for it. Raises `JobFailed` (output_too_large)."""
    if width * height > max_pixels:
        raise _too_large("pixels", max_pixels, width * height)
    _check_sides(width, height, output_format)


def encode(raster: Raster, output_format: OutputFormat, quality: int) -> EncodedImage:
    """`raster` as a file, marked as sRGB, with the raster's EXIF. `quality` 1 to 100 is for JPEG and lossy WebP.

    PNG keeps everything. JPEG and WebP have 8 bits, JPEG no alpha: it is laid on white. Raises `JobFailed`
    (output_too_large) for sides that the format cannot have.
    """
    _check_sides(raster.width, raster.height, output_format)
    if output_format is OutputFormat.PNG:
        return EncodedImage(png_write.write(raster), output_format, raster.width, raster.height)
    reduced = _eight_bits(raster)
    lost = (Remark.DEPTH_REDUCED,) if reduced is not raster else ()
    if output_format is OutputFormat.WEBP:
        return EncodedImage(_webp(reduced, quality), output_format, raster.width, raster.height, lost)
    if reduced.alpha is not None:
        lost = (*lost, Remark.ALPHA_FLATTENED)
    return EncodedImage(_jpeg(reduced, quality), output_format, raster.width, raster.height, lost)


def _check_sides(width: int, height: int, output_format: OutputFormat) -> None:
    limit, longer = MAX_SIDES[output_format], max(width, height)
    if longer > limit:
        raise _too_large(f"{output_format}_side", limit, longer)


def _too_large(field: str, limit: int, value: int) -> JobFailed:
    return JobFailed(
        FailureCode.OUTPUT_TOO_LARGE,
        f"result: {field.replace('_', ' ')} is limited to {limit}, got {value}",
        {"field": field, "limit": limit, "value": value},
    )


def _eight_bits(raster: Raster) -> Raster:
    if raster.bit_depth == 8:
        return raster
    alpha = None if raster.alpha is None else _rounded(raster.alpha)
    return Raster(_rounded(raster.pixels), alpha, raster.exif)


def _rounded(plane: Pixels) -> Pixels:
    """65,535 is 255 x 257, so this is exact rounding."""
    rounded: Pixels = ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return rounded


def _jpeg(raster: Raster, quality: int) -> bytes:
    pixels = raster.pixels if raster.alpha is None else _on_white(raster.pixels, raster.alpha)
    image = Image.fromarray(pixels[..., 0] if raster.is_grey else pixels)
    subsampling = "4:2:0" if quality <= HALVED_COLOUR_QUALITY else "4:4:4"
    exif = {} if raster.exif is None else {"exif": b"Exif\0\0" + raster.exif}
    # A grey picture with a profile for RGB would carry a profile of the wrong space.
    profile = {} if raster.is_grey else {"icc_profile": _srgb_profile()}
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling, **profile, **exif)
    return file.getvalue()


def _on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    opacity = alpha[..., None].astype(np.uint16)
    flattened: Pixels = ((pixels * opacity + _WHITE * (_WHITE - opacity) + _WHITE // 2) // _WHITE).astype(np.uint8)
    return flattened


def _webp(raster: Raster, quality: int) -> bytes:
    pixels = raster.pixels.repeat(3, axis=2) if raster.is_grey else raster.pixels
    if raster.alpha is not None:
        pixels = interleaved(pixels, raster.alpha)
    exif = {} if raster.exif is None else {"exif": raster.exif}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=WEBP_EFFORT, icc_profile=_srgb_profile(), **exif)
    return file.getvalue()


@cache
def _srgb_profile() -> bytes:
    """The same bytes always: the colour engine writes the time of day into them, and results must not differ by it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + _PROFILE_DATE + profile[36:]
