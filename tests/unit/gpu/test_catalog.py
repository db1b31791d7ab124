"""The catalog of models."""

import subprocess
import sys

import pytest

from pipeline.errors import JobFailed
from pipeline.gpu.catalog import MODELS, find
from schemas.failures import FailureCode
from schemas.options import DEFAULT_MODEL


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("realesrgan-x4plus", "realesrgan-x4plus"),
        ("RealESRGAN_x4plus", "realesrgan-x4plus"),
        ("RealESRGAN_x4plus.pth", "realesrgan-x4plus"),
        ("nightmareai/real-esrgan", "realesrgan-x4plus"),
        ("nightmareai/real-esrgan:f121d640", "realesrgan-x4plus"),
        ("Real ESRGAN", "realesrgan-x4plus"),
        ("RealESRGAN_x4plus_anime_6B", "realesrgan-x4plus-anime-6b"),
        ("realesrgan-x4plus-anime", "realesrgan-x4plus-anime-6b"),
        ("RealESR_AnimeVideoV3", "realesr-animevideov3"),
        ("realesr-animevideov3-x2", "realesr-animevideov3"),
        ("realesr-animevideov3-x4", "realesr-animevideov3"),
    ],
)
def test_find_forgives_the_usual_spellings(spelling: str, name: str) -> None:
    """Case, separators, a vendor, a version and a file ending do not matter."""
    assert find(spelling).name == name


def test_find_refuses_an_unknown_name_and_lists_the_known_ones() -> None:
    """The failure names the field, the value, cut to a readable length, and every model there is."""
    with pytest.raises(JobFailed) as caught:
        find("waifu2x" + "x" * 500)

    assert caught.value.code is FailureCode.MODEL_NOT_FOUND
    assert caught.value.message.startswith("model: must be one of")
    assert all(spec.name in caught.value.message for spec in MODELS)
    assert caught.value.details["field"] == "model"
    assert caught.value.details["value"] == ("waifu2x" + "x" * 500)[:100]


def test_catalog_has_the_model_that_options_default_to() -> None:
    """A request that names no model can be served."""
    assert find(DEFAULT_MODEL).name == DEFAULT_MODEL


def test_catalog_gives_no_name_to_two_models() -> None:
    """Each alias leads back to the model that lists it."""
    assert [find(name) for spec in MODELS for name in (spec.name, *spec.aliases)] == [
        spec for spec in MODELS for _ in (spec.name, *spec.aliases)
    ]


def test_catalog_is_read_without_torch() -> None:
    """Listing models works on a machine that has no torch."""
    script = "import sys; sys.modules['torch'] = None; import pipeline.gpu.catalog"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
