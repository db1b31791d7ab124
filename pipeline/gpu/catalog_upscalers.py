"""The upscaling models that are known by name: Real-ESRGAN's and SwinIR's.

To add a model: one entry here and one row in tests/parity. Nothing here imports torch, so that the command line can
list models on a machine that has none.
"""

from pipeline.gpu.specs import CarriedWeights, ModelSpec, OfficialWeights, RRDBShape, SRVGGShape

_RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_LICENCE = "BSD-3-Clause"
_AUTHOR = "Xintao Wang, Liangbin Xie, Chao Dong, Ying Shan"

UPSCALERS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="realesrgan-x4plus",
        aliases=("realesrgan", "x4plus", "realesrgan-x4", "real-esrgan-x4plus", "default"),
        architecture=RRDBShape(blocks=23),
        scale=4,
        # 349 would be exact; at 32 a tiled picture is within 13 steps (59 dB) of the untiled one, at upstream's 10
        # within 91 (45 dB).
        pad=32,
        carried=CarriedWeights(
            "REALESRGAN_X4PLUS_UP4X", "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"
        ),
        official=OfficialWeights(
            "RealESRGAN_x4plus.pth",
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            f"{_RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
            67_040_989,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs and mixed content",
        not_good_at="adding detail that is not there; scratches and other damage",
    ),
    ModelSpec(
        name="realesrgan-x4plus-anime-6b",
        aliases=("realesrgan-x4plus-anime", "x4plus-anime", "anime-6b"),
        architecture=RRDBShape(blocks=6),
        scale=4,
        pad=32,  # 94 would be exact; 32 is within 11 steps, 66 dB
        carried=CarriedWeights(
            "REALESRGAN_X4PLUSANIME_UP4X", "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc"
        ),
        official=OfficialWeights(
            "RealESRGAN_x4plus_anime_6B.pth",
            "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            f"{_RELEASES}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
            17_938_799,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="drawings and anime stills",
        not_good_at="photographs: skin and foliage turn flat",
    ),
    ModelSpec(
        name="realesr-animevideov3",
        aliases=(
            "realesr-animevideov3-x2",
            "realesr-animevideov3-x3",
            "realesr-animevideov3-x4",
            "realesrgan-animevideov3",
            "animevideov3",
        ),
        architecture=SRVGGShape(convs=16),
        scale=4,
        pad=18,  # exact: the network sees 18 pixels far
        carried=CarriedWeights(
            "REALESRGAN_ANIMAVIDEOV3_UP4X", "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"
        ),
        official=OfficialWeights(
            "realesr-animevideov3.pth",
            "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
            f"{_RELEASES}/v0.2.5.0/realesr-animevideov3.pth",
            2_504_012,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="anime frames, and anything when speed counts: about 30 times less work than x4plus",
        not_good_at="photographs: flat areas with dark outlines",
    ),
)
