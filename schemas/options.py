"""What a caller may ask of an upscale: one schema for events, single requests, batches and every facade."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.problems import shown

DEFAULT_MODEL = "realesrgan-x4plus"


def _no_truth_value(value: object) -> object:
    """Python counts `true` as 1; a caller who wrote it meant something else."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {shown(value)}")  # noqa: TRY004  pydantic reports no other kind
    return value


NotBoolean = BeforeValidator(_no_truth_value)


class OutputFormat(StrEnum):
    """File format of the result."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        return "jpg" if self is OutputFormat.JPEG else self.value


class MetadataPolicy(StrEnum):
    """What of the source's metadata the result carries. Colour is always converted to sRGB."""

    STRIP = "strip"  # nothing: no EXIF, GPS, XMP or comments
    KEEP = "keep"  # the source's EXIF without its thumbnail, orientation reset to upright


class UpscaleOptions(BaseModel):
    """Options of one upscale; unknown fields are refused so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: Annotated[str, Field(min_length=1, max_length=100)] = DEFAULT_MODEL
    """Name of the network, as `upscale models` lists it; case and the usual spellings are forgiven."""

    scale: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False), NotBoolean] = 4.0
    """Output side divided by input side. 1 restores without enlarging."""

    face_enhance: bool = False
    """Restore faces after upscaling. Needs face weights, which do not come with the install."""

    tile_size: Annotated[int | None, Field(ge=32, le=2048), NotBoolean] = None
    """Largest window side in source pixels, context included; null lets the worker choose for its device."""

    tile_pad: Annotated[int | None, Field(ge=0, le=128), NotBoolean] = None
    """Context in source pixels around each window's core; null takes the model's own."""

    output_format: OutputFormat = OutputFormat.PNG
    """File format of the result."""

    quality: Annotated[int, Field(ge=1, le=100), NotBoolean] = 95
    """Quality of JPEG and lossy WebP; PNG ignores it."""

    metadata: MetadataPolicy = MetadataPolicy.STRIP
    """What of the source's metadata the result carries."""

    @model_validator(mode="after")
    def _pad_leaves_a_core(self) -> Self:
        if self.tile_size is not None and self.tile_pad is not None and 2 * self.tile_pad >= self.tile_size:
            raise ValueError(
                f"tile_pad: must be under half of tile_size ({self.tile_size}), got {self.tile_pad}: no core is left"
            )
        return self
