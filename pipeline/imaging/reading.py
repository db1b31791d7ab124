"""Reading: one picture file of each format, opened by the decoder for that format alone, into samples.

Decoders are named here and nowhere looked up, so that none but these can be reached by what a file contains.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipeline.errors import JobFailed
from pipeline.imaging import png_chunks, png_read, tiff, tiff_read
from pipeline.imaging.colour import MAX_PROFILE_BYTES
from pipeline.imaging.formats import Format
from pipeline.imaging.header import Header
from pipeline.imaging.jpeg import completions
from pipeline.imaging.samples import Samples, samples_of, strips
from schemas.failures import FailureCode

ANIMATION_DROPPED = "animation_dropped"
PAGES_DROPPED = "pages_dropped"
DEPTH_REDUCED = "depth_reduced"
Opened = TypeVar("Opened", bound=ImageFile)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one file holds."""

    samples: Samples
    profile: bytes | None
    """ICC profile as found, sound or not."""
    exif: Image.Exif
    """Orientation is absent where the decoder has applied it already (TIFF)."""
    warnings: tuple[str, ...] = ()


def read(data: bytes, header: Header) -> Reading:
    """Decode the first picture of `data`. Raises `JobFailed`, and whatever else a decoder raises on a broken file."""
    return _READERS[header.format](data, header)


def _png(data: bytes, _header: Header) -> Reading:
    file = png_chunks.walk(data)
    exif = Image.Exif()
    exif.load(file.chunks.get(b"eXIf", b""))
    dropped = (ANIMATION_DROPPED,) if file.animated else ()
    return Reading(png_read.read(file), _inflated_profile(file.chunks.get(b"iCCP", b"")), exif, dropped)


def _jpeg(data: bytes, header: Header) -> Reading:
    plain, filled = completions(data)
    image = _opened(JpegImageFile, plain, header)
    image.load()
    control = _opened(JpegImageFile, filled, header)
    control.load()
    if any(strip != other for strip, other in zip(strips(image), strips(control), strict=True)):
        raise JobFailed(FailureCode.IMAGE_TRUNCATED, "source: the JPEG file ends before its picture does")
    return Reading(samples_of(image), image.info.get("icc_profile"), image.getexif())


def _webp(data: bytes, header: Header) -> Reading:
    image = _opened(WebPImageFile, data, header)
    return Reading(samples_of(image), image.info.get("icc_profile"), image.getexif(), _animation(image))


def _gif(data: bytes, header: Header) -> Reading:
    image = _opened(GifImageFile, data, header)
    return Reading(samples_of(image), image.info.get("icc_profile"), Image.Exif(), _animation(image))


def _bmp(data: bytes, header: Header) -> Reading:
    return Reading(samples_of(_opened(BmpImageFile, data, header)), None, Image.Exif())


def _tiff(data: bytes, header: Header) -> Reading:
    page = tiff.first_page(data)
    image = _opened(TiffImageFile, data, header)
    exif = image.getexif()
    samples, reduced = tiff_read.read(image, data, page)
    exif.pop(ExifTags.Base.Orientation, None)
    warnings = ((PAGES_DROPPED,) if page.more_follow else ()) + ((DEPTH_REDUCED,) if reduced else ())
    return Reading(samples, image.info.get("icc_profile"), exif, warnings)


_READERS: Mapping[Format, Callable[[bytes, Header], Reading]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.GIF: _gif,
    Format.BMP: _bmp,
    Format.TIFF: _tiff,
}


def _opened(decoder: Callable[[io.BytesIO], Opened], data: bytes, header: Header) -> Opened:
    """The file opened and not yet decoded, if the decoder reads the same size from it as we did."""
    image = decoder(io.BytesIO(data))
    # TIFF announces its size as it will be once turned.
    if sorted(image.size) != sorted((header.width, header.height)):
        raise JobFailed(FailureCode.IMAGE_CORRUPT, "source: the file declares two different sizes")
    return image


def _animation(image: "GifImageFile | WebPImageFile") -> tuple[str, ...]:
    """Asked after the first picture is taken, because looking for a second one moves on in the file."""
    try:
        return (ANIMATION_DROPPED,) if image.is_animated else ()
    except (OSError, SyntaxError, ValueError, struct.error):
        return (ANIMATION_DROPPED,)  # there is more, and it is broken


def _inflated_profile(chunk: bytes) -> bytes | None:
    """The content of an iCCP chunk: a name, a zero, the method 0, a zlib stream. Not inflated beyond what colour
    conversion accepts."""
    _, _, rest = chunk.partition(b"\0")
    if not rest:
        return None
    try:
        return zlib.decompressobj().decompress(rest[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return rest  # not a profile either, so that it is ignored with a warning
