"""EXIF: which way up a picture is, and what of its block may travel on with the result."""

from collections.abc import Callable

from PIL import ExifTags, Image

from pipeline.imaging.raster import Pixels

UPRIGHT = 1
MAX_BYTES = 65_527
"""What fits a JPEG segment beside its identifier."""
_KEPT = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
"""Of the first directory; the rest of it describes the source's samples, which are not the result's."""
_DROPPED = (
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
)
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""Beside the first; read when they are asked for."""
_PREFIX = b"Exif\0\0"


def readable(load: Callable[[], Image.Exif]) -> Image.Exif | None:
    """What `load` reads, its orientation included; None where it fails. No picture depends on this block."""
    try:
        found = load()
        orientation(found)
    except Exception:
        return None
    return found


def orientation(exif: Image.Exif | None) -> int:
    """1 to 8 as EXIF numbers them; anything else counts as upright."""
    value = UPRIGHT if exif is None else exif.get(ExifTags.Base.Orientation, UPRIGHT)
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def upright(plane: Pixels, orientation: int) -> Pixels:
    """`plane` (height, width, ...) turned and mirrored as `orientation` asks, C-contiguous."""
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return plane if plane.flags.c_contiguous else plane.copy()


def kept(exif: Image.Exif) -> bytes:
    """The block to pass on, from its byte-order mark: without orientation, sizes and thumbnail. Empty when nothing
    is left. May raise anything when the block is broken."""
    block = Image.Exif()
    block.update({tag: exif[tag] for tag in _KEPT if tag in exif})
    for directory in DIRECTORIES:
        if values := {tag: value for tag, value in exif.get_ifd(directory).items() if tag not in _DROPPED}:
            block[directory] = values
    return block.tobytes().removeprefix(_PREFIX) if block else b""
