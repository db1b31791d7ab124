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
from pipeline.imaging import exif, png_chunks, png_read, tiff, tiff_read
from pipeline.imaging.colour import MAX_PROFILE_BYTES
from pipeline.imaging.formats import Format
from pipeline.imaging.header import Header
from pipeline.imaging.jpeg import completions, understood
from pipeline.imaging.samples import Samples, samples_of, strips
from schemas.failures import FailureCode
from schemas.remarks import Remark

_NO_PROFILE = b"\0"
Opened = TypeVar("Opened", bound=ImageFile)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one file holds."""

    samples: Samples
    profile: bytes | None
    """ICC profile as found, sound or not."""
    exif: Image.Exif | None
    """Orientation is absent where the decoder has applied it already (TIFF). None for a block that cannot be read."""
    warnings: tuple[str, ...] = ()


def read(data: bytes, header: Header) -> Reading:
    """Decode the first picture of `data`. Raises `JobFailed`, and whatever else a decoder raises on a broken file."""
    return _READERS[header.format](data, header)


def _png(data: bytes, _header: Header) -> Reading:
    file = png_chunks.walk(data)
    block = exif.readable(lambda: _loaded(file.chunks.get(b"eXIf", b"")))
    dropped = (Remark.ANIMATION_DROPPED,) if file.animated else ()
    return Reading(png_read.read(file), _inflated_profile(file.chunks.get(b"iCCP", b"")), block, dropped)


def _jpeg(data: bytes, header: Header) -> Reading:
    plain, filled = completions(understood(data))
    image = _opened(JpegImageFile, plain, header)
    image.load()
    control = _opened(JpegImageFile, filled, header)
    control.load()
    if any(strip != other for strip, other in zip(strips(image), strips(control), strict=True)):
        raise JobFailed(FailureCode.IMAGE_TRUNCATED, "source: the JPEG file ends before its picture does")
    return Reading(samples_of(image), _profile(image), _exif(image))


def _webp(data: bytes, header: Header) -> Reading:
    image = _opened(WebPImageFile, data, header)
    return Reading(samples_of(image), _profile(image), _exif(image), _animation(image))


def _gif(data: bytes, header: Header) -> Reading:
    image = _opened(GifImageFile, data, header)
    return Reading(samples_of(image), _profile(image), Image.Exif(), _animation(image))


def _bmp(data: bytes, header: Header) -> Reading:
    return Reading(samples_of(_opened(BmpImageFile, data, header)), None, Image.Exif())


def _tiff(data: bytes, header: Header) -> Reading:
    page = tiff.first_page(data)
    image = _opened(TiffImageFile, data, header)
    block = _tiff_exif(image)
    samples, reduced = tiff_read.read(image, data, page)
    if block is not None:
        block.pop(ExifTags.Base.Orientation, None)
    warnings = ((Remark.PAGES_DROPPED,) if page.more_follow else ()) + ((Remark.DEPTH_REDUCED,) if reduced else ())
    return Reading(samples, _profile(image), block, warnings)


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


def _exif(image: ImageFile) -> Image.Exif | None:
    def load() -> Image.Exif:
        _loaded(image.info.get("exif", b""))  # the decoder of JPEG has swallowed what is wrong with it
        return image.getexif()

    return exif.readable(load)


def _loaded(block: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(block)
    return found


def _tiff_exif(image: TiffImageFile) -> Image.Exif | None:
    """From the first directory, and nothing left in `image` that its decoder would refuse the picture for."""
    if not isinstance(image.info.get("xmp", b""), bytes):
        del image.info["xmp"]
    found = exif.readable(lambda: _with_directories(image.getexif()))
    if found is None:
        block = image.getexif()
        for directory in exif.DIRECTORIES:
            if directory in block:
                del block[directory]
    return found


def _with_directories(block: Image.Exif) -> Image.Exif:
    for directory in exif.DIRECTORIES:
        block.get_ifd(directory)
    return block


def _profile(image: ImageFile) -> bytes | None:
    """As found. What is there and is not even bytes is no profile either, so that it is ignored with a warning: parts
    of a JPEG's that do not add up, a tag of another type."""
    found = image.info.get("icc_profile", b"")
    return found if isinstance(found, bytes) else _NO_PROFILE


def _animation(image: "GifImageFile | WebPImageFile") -> tuple[str, ...]:
    """Asked after the first picture is taken, because looking for a second one moves on in the file."""
    try:
        return (Remark.ANIMATION_DROPPED,) if image.is_animated else ()
    except (OSError, SyntaxError, ValueError, struct.error):
        return (Remark.ANIMATION_DROPPED,)  # there is more, and it is broken


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
