"""Real-ESRGAN's models.

To add a model: one entry here and one row in tests/parity. Nothing here imports torch, so that the command line can
list models on a machine that has none.

Upstream publishes no checksums. Each digest is the one that several independent public programs pin for the file at
its release address: download managers, package recipes and their like, at least two of them for every file.
"""

from pipeline.gpu.models.specs import CarriedWeights, ModelSpec, OfficialWeights, RRDBShape, SRVGGShape

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
        name="realesrnet-x4plus",
        aliases=("realesrnet", "x4plusnet", "real-esrnet-x4plus"),
        architecture=RRDBShape(blocks=23),
        scale=4,
        pad=32,  # the same network as x4plus
        official=OfficialWeights(
            "RealESRNet_x4plus.pth",
            "a820b9bde89a874d7599d545567308ce6c128fc8754a53208eda016d40aa81df",
            f"{_RELEASES}/v0.1.1/RealESRNet_x4plus.pth",
            67_040_989,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs that must stay true: trained for likeness and not to please, so it invents little",
        not_good_at="sharpness: smoother than x4plus",
    ),
    ModelSpec(
        name="realesrgan-x2plus",
        aliases=("x2plus", "realesrgan-x2", "real-esrgan-x2plus"),
        architecture=RRDBShape(blocks=23),
        scale=2,
        # The network works on cells of 2 x 2, so that 48 is to it what 24 is to x4plus.
        pad=48,
        multiple=2,
        official=OfficialWeights(
            "RealESRGAN_x2plus.pth",
            "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
            f"{_RELEASES}/v0.2.1/RealESRGAN_x2plus.pth",
            67_061_725,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs that are to become twice as large, at a quarter of the work of x4plus",
        not_good_at="pictures that are very small or badly damaged",
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
    ModelSpec(
        name="realesr-general-x4v3",
        aliases=("realesrgan-general-x4v3", "general-x4v3", "general", "realesr-general"),
        architecture=SRVGGShape(convs=32),
        scale=4,
        pad=34,  # exact: the network sees 34 pixels far
        official=OfficialWeights(
            "realesr-general-x4v3.pth",
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            f"{_RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
            4_885_111,
        ),
        denoiser=OfficialWeights(
            "realesr-general-wdn-x4v3.pth",
            "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
            f"{_RELEASES}/v0.2.5.0/realesr-general-wdn-x4v3.pth",
            4_885_111,
        ),
        licence=_LICENCE,
        author=_AUTHOR,
        good_at="photographs when speed counts, with a choice of how much noise is taken away",
        not_good_at="fine texture: paints flatter than x4plus",
    ),
)
