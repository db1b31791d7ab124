"""The options of an upscale on the command line."""

import argparse

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.asking import add_options, options_of
from schemas.options import BeyondNative, FaceOptions, FaceOrder, MetadataPolicy, OutputFormat, UpscaleOptions


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def test_options_default_to_those_of_the_schema() -> None:
    """The command line and a bare event ask for the same."""
    assert options_of(parsed()) == UpscaleOptions()


def test_every_option_of_the_schema_can_be_given() -> None:
    """An option that the command line forgets would never be tried by hand."""
    asked = options_of(
        parsed(
            *("--model", "animevideov3", "--width", "640", "--height", "480", "--beyond-native", "repeat"),
            *("--denoise-strength", "0", "--tile-size", "64", "--tile-pad", "16", "--format", "webp"),
            *("--quality", "80", "--keep-metadata", "--face-enhance", "--face-model", "gfpgan-v1.3"),
            *("--face-weight", "0", "--face-only-center", "--face-max-size", "300"),
            *("--face-min-eye-distance", "7.5", "--face-order", "before"),
        )
    )
    assert asked == UpscaleOptions(
        model="animevideov3",
        width=640,
        height=480,
        beyond_native=BeyondNative.REPEAT,
        denoise_strength=0,
        tile_size=64,
        tile_pad=16,
        output_format=OutputFormat.WEBP,
        quality=80,
        metadata=MetadataPolicy.KEEP,
        face_enhance=True,
        faces=FaceOptions(
            model="gfpgan-v1.3",
            weight=0,
            only_center=True,
            max_size=300,
            min_eye_distance=7.5,
            order=FaceOrder.BEFORE,
        ),
    )
    default = UpscaleOptions()
    left = {name for name in UpscaleOptions.model_fields if getattr(asked, name) == getattr(default, name)}
    assert left == {"scale"}, "which cannot be given beside a side"
    assert options_of(parsed("--scale", "2.5")).scale == 2.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scale", "0"), "^--scale: must be greater than 0, got 0"),
        (("--quality", "101"), "^--quality: must be less than or equal to 100, got 101"),
        (("--width", "0"), "^--width: must be greater than or equal to 1, got 0"),
        (("--height", "100001"), "^--height: must be less than or equal to 100000, got 100001"),
        (("--denoise-strength", "1.5"), "^--denoise-strength: must be less than or equal to 1, got 1.5"),
        (("--face-weight", "2"), "^--face-weight: must be less than or equal to 1, got 2"),
        (("--tile-size", "64", "--tile-pad", "40"), r"^tile_pad: must be under half of tile_size \(64\), got 40"),
        (("--scale", "2", "--width", "10"), "^scale: must be left out beside width, got 2"),
    ],
)
def test_options_that_cannot_be_are_told_by_their_argument(words: tuple[str, ...], said: str) -> None:
    """The person reads which argument, which limit and which value."""
    with pytest.raises(PipelineError, match=said):
        options_of(parsed(*words))
