"""Colour: whatever a file's numbers mean, as sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

from pipeline.imaging.matrix_profile import parse
from pipeline.imaging.raster import Pixels
from pipeline.imaging.samples import Model, Samples
from schemas.remarks import Remark

MAX_PROFILE_BYTES = 4 * 2**20
"""Larger than any profile of a device; what exceeds it is ignored."""
_SPACES: dict[Model, str] = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_INDISTINCT = 1
"""8-bit levels by which a profile may differ from sRGB and still count as sRGB, so that samples stay untouched."""


def to_srgb(samples: Samples, profile: bytes | None) -> tuple[Pixels, tuple[str, ...]]:
    """Samples of shape (height, width, 1 or 3) in sRGB, and warnings.

    A profile that is broken, too large, for another colour space or beyond what 16-bit samples can be converted by is
    ignored with the warning `icc_ignored`: the picture is then what a viewer without colour management shows.
    """
    if not profile:
        return _unmanaged(samples), ()
    try:
        return _managed(samples, profile), ()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _unmanaged(samples), (Remark.ICC_IGNORED,)


def _managed(samples: Samples, profile: bytes) -> Pixels:
    if len(profile) > MAX_PROFILE_BYTES:
        raise ValueError(f"profile: limited to {MAX_PROFILE_BYTES} bytes, got {len(profile)}")
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space != _SPACES[samples.model]:
        raise ValueError(f"profile: must be for {_SPACES[samples.model]}, got {space}")
    if samples.colour.dtype == np.uint16:
        return parse(profile).to_srgb(samples.colour)
    return _transformed(samples, source)


def _unmanaged(samples: Samples) -> Pixels:
    if samples.model == "CMYK":
        return np.asarray(_image(samples).convert("RGB"))
    if samples.model == "LAB":
        return _transformed(samples, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return samples.colour


def _transformed(samples: Samples, source: ImageCms.ImageCmsProfile) -> Pixels:
    srgb = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(source, srgb, samples.model, "RGB", _INTENT, _FLAGS)
    if _is_srgb(transform, samples.model):
        return samples.colour
    result = np.asarray(ImageCms.applyTransform(_image(samples), transform))
    return result[..., 1:2] if samples.model == "L" else result


def _is_srgb(transform: ImageCms.ImageCmsTransform, model: Model) -> bool:
    """Whether a coarse grid of colours comes out as it went in."""
    if model not in ("L", "RGB"):
        return False
    levels = np.arange(0, 256, 15 if model == "RGB" else 1, dtype=np.uint8)
    channels = np.stack(np.meshgrid(*[levels] * (3 if model == "RGB" else 1), indexing="ij"), axis=-1)
    grid = channels.reshape(1, -1, channels.shape[-1])
    result = np.asarray(ImageCms.applyTransform(_image(Samples(model, grid)), transform))
    return bool((np.abs(result.astype(np.int16) - grid) <= _INDISTINCT).all())


def _image(samples: Samples) -> Image.Image:
    height, width = samples.colour.shape[:2]
    return Image.frombuffer(samples.model, (width, height), samples.colour.tobytes(), "raw", samples.model, 0, 1)
