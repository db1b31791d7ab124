"""What a caller may ask of an upscale: one schema for events, single requests, batches and every facade."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from schemas.asked import Asked, Numeric, Truth

DEFAULT_MODEL = "realesrgan-x4plus"
DEFAULT_FACE_MODEL = "gfpgan-v1.4"


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


class BeyondNative(StrEnum):
    """How a scale above the network's own is reached."""

    RESIZE = "resize"  # one pass, then Lanczos: half the price and softer
    REPEAT = "repeat"  # the network over its own result, then Lanczos down to the scale asked for


class FaceOrder(StrEnum):
    """When faces are restored."""

    AFTER = "after"  # on the upscaled picture, as upstream does
    BEFORE = "before"  # on the source; the network then upscales the restored faces


class FaceOptions(Asked):
    """How faces are restored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")] = DEFAULT_FACE_MODEL
    """Name of the restoring network, as `upscale models` lists it: printable ASCII."""

    weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Numeric] = 1.0
    """Share of the restored face in what is pasted, the rest being the face as it was. 1 is what upstream pastes."""

    only_center: Truth = False
    """Restore only the face nearest to the middle of the picture."""

    max_size: Annotated[int | None, Field(ge=1, le=100_000), Numeric] = None
    """Leave faces alone whose longer side is larger than this in source pixels: restoring takes detail from them."""

    min_eye_distance: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False), Numeric] = 5.0
    """Leave faces alone whose eyes are nearer than this in source pixels."""

    order: FaceOrder = FaceOrder.AFTER
    """When faces are restored."""


class UpscaleOptions(Asked):
    """Options of one upscale; unknown fields are refused so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: Annotated[str, Field(min_length=1, max_length=100)] = DEFAULT_MODEL
    """Name of the network, as `upscale models` lists it; case and the usual spellings are forgiven."""

    scale: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False), Numeric] = 4.0
    """Output side divided by input side. 1 restores without enlarging."""

    width: Annotated[int | None, Field(ge=1, le=100_000), Numeric] = None
    """Width of the result in pixels, instead of `scale`. With `height` too, the result fits inside both."""

    height: Annotated[int | None, Field(ge=1, le=100_000), Numeric] = None
    """Height of the result in pixels, instead of `scale`. The picture keeps its proportions."""

    beyond_native: BeyondNative = BeyondNative.RESIZE
    """How a scale above the network's own is reached."""

    denoise_strength: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False), Numeric] = None
    """From 0, which keeps noise, to 1; only of models that have the choice, and null takes their own 1."""

    face_enhance: Truth = False
    """Restore faces; without any, the picture is upscaled all the same. Needs weights beyond those of the install."""

    faces: FaceOptions = FaceOptions()
    """How faces are restored when `face_enhance` is true; without it nothing here has an effect."""

    tile_size: Annotated[int | None, Field(ge=32, le=2048), Numeric] = None
    """Largest window side in source pixels, context included; null lets the worker choose for its device."""

    tile_pad: Annotated[int | None, Field(ge=0, le=128), Numeric] = None
    """Context in source pixels around each window's core; null takes the model's own."""

    output_format: OutputFormat = OutputFormat.PNG
    """File format of the result."""

    quality: Annotated[int, Field(ge=1, le=100), Numeric] = 95
    """Quality of JPEG and lossy WebP; PNG ignores it."""

    metadata: MetadataPolicy = MetadataPolicy.STRIP
    """What of the source's metadata the result carries."""

    @model_validator(mode="after")
    def _one_way_to_say_the_size(self) -> Self:
        sides = [side for side in ("width", "height") if getattr(self, side) is not None]
        if sides and "scale" in self.model_fields_set:
            raise ValueError(f"scale: must be left out beside {' and '.join(sides)}, got {self.scale}")
        return self

    @model_serializer(mode="wrap")
    def _without_a_scale_nobody_asked_for(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Beside a side, `scale` is a default that means nothing, and who reads the options back would refuse it."""
        written: dict[str, Any] = write(self)
        if self.width is not None or self.height is not None:
            written.pop("scale", None)
        return written

    @model_validator(mode="after")
    def _pad_leaves_a_core(self) -> Self:
        if self.tile_size is not None and self.tile_pad is not None and 2 * self.tile_pad >= self.tile_size:
            raise ValueError(
                f"tile_pad: must be under half of tile_size ({self.tile_size}), got {self.tile_pad}: no core is left"
            )
        return self
