"""SwinIR's models for real-world pictures.

Its release publishes no checksums. Each digest is the one that several independent public programs pin for the file
at that address, for all three the same programs among them.
"""

from pipeline.gpu.models.specs import DetectedShape, ModelSpec, OfficialWeights, Precision

_RELEASE = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0"
_LICENCE = "Apache-2.0"
_AUTHOR = "Jingyun Liang, Jiezhang Cao, Guolei Sun, Kai Zhang, Luc Van Gool, Radu Timofte"
_WINDOW = 8
"""Side in pixels of the windows within which SwinIR attends."""
_PAD = 4 * _WINDOW
"""Chosen: through its shifted windows the network sees the whole picture, ever less of what is farther away."""
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
"""Attention overflows fp16."""
_NOT_GOOD_AT = "speed: several times the work of x4plus"

SWINIR: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="swinir-real-m-x2",
        aliases=("swinir-x2", "swinir-m-x2", "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x2_GAN"),
        architecture=DetectedShape(),
        scale=2,
        pad=_PAD,
        multiple=_WINDOW,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x2_GAN.pth",
            "f397408977a3e07eb06afb7238d453a12ef35ebab7328a54241f307860dbe342",
            f"{_RELEASE}/003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x2_GAN.pth",
            66_974_517,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs that are to become twice as large: natural texture",
        not_good_at=_NOT_GOOD_AT,
    ),
    ModelSpec(
        name="swinir-real-m-x4",
        aliases=("swinir-m-x4", "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN"),
        architecture=DetectedShape(),
        scale=4,
        pad=_PAD,
        multiple=_WINDOW,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
            "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6",
            f"{_RELEASE}/003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
            67_129_861,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs: natural texture, such as foliage and cloth",
        not_good_at=_NOT_GOOD_AT,
    ),
    ModelSpec(
        name="swinir-real-l-x4",
        aliases=("swinir", "swinir-x4", "swinir-l-x4", "swinir-4x", "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN"),
        architecture=DetectedShape(),
        scale=4,
        pad=_PAD,
        multiple=_WINDOW,
        precisions=_PRECISIONS,
        official=OfficialWeights(
            "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
            "99adfa91350a84c99e946c1eb3d8fce34bc28f57d807b09dc8fe40a316328c0a",
            f"{_RELEASE}/003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN.pth",
            142_473_939,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs: the finest texture of all models here",
        not_good_at="speed: the most work of all models here",
    ),
)
