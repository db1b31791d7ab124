"""The catalog of models."""

import re
import subprocess
import sys

import pytest

from pipeline.errors import JobFailed
from pipeline.gpu.models.catalog import MODELS, Catalogue, catalogue, find, folded, needed
from pipeline.gpu.models.specs import ModelSpec, Purpose
from pipeline.gpu.models.standing import published
from pipeline.model_settings import ModelSettings
from pipeline.settings import InvalidSettings
from schemas.failures import FailureCode
from schemas.options import DEFAULT_FACE_MODEL, DEFAULT_MODEL
from tests.support.published import publishing


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
        ("RealESRGAN_x2plus", "realesrgan-x2plus"),
        ("RealESRGAN_x2plus.pth", "realesrgan-x2plus"),
        ("RealESRNet_x4plus", "realesrnet-x4plus"),
        ("realesr-general-x4v3.pth", "realesr-general-x4v3"),
        ("jingyunliang/swinir:660d922d", "swinir-real-l-x4"),
        ("003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x2_GAN.pth", "swinir-real-m-x2"),
        ("GFPGAN", "gfpgan-v1.4"),
        ("tencentarc/gfpgan:9283608c", "gfpgan-v1.4"),
        ("GFPGANv1.4.pth", "gfpgan-v1.4"),
        ("GFPGANv1.3", "gfpgan-v1.3"),
        ("sczhou/codeformer", "codeformer"),
        ("RestoreFormer.pth", "restoreformer"),
        ("retinaface_resnet50", "retinaface-resnet50"),
        ("retinaface_mobile0.25", "retinaface-mobile0.25"),
        ("detection_Resnet50_Final.pth", "retinaface-resnet50"),
        ("parsing_parsenet.pth", "parsenet"),
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
    """Each alias leads back to the model that lists it, and so does the name of its published file."""
    assert [find(name) for spec in MODELS for name in (spec.name, *spec.aliases)] == [
        spec for spec in MODELS for _ in (spec.name, *spec.aliases)
    ]


def test_catalog_is_read_without_torch() -> None:
    """Listing models works on a machine that has no torch."""
    script = "import sys; sys.modules['torch'] = None; import pipeline.tools.models"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_catalog_has_the_restorer_that_options_default_to() -> None:
    assert find(DEFAULT_FACE_MODEL).purpose is Purpose.FACE_RESTORE


def test_published_files_are_found_by_their_own_names_and_known_in_full() -> None:
    """A digest that two files share, or one of another length, is a slip of the pen."""
    files = [each for spec in MODELS for each in published(spec)]
    assert [find(spec.official.file) for spec in MODELS] == list(MODELS)
    assert len({each.sha256 for each in files}) == len(files)
    assert len({each.file for each in files}) == len(files)
    assert all(re.fullmatch("[0-9a-f]{64}", each.sha256) and each.size > 10**6 for each in files)
    assert all(each.url.startswith("https://github.com/") and each.url.endswith(f"/{each.file}") for each in files)


@pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
def test_every_model_says_what_it_is_good_for_and_whose_it_is(spec: ModelSpec) -> None:
    assert all((spec.licence, spec.author, spec.good_at, spec.not_good_at))
    assert "fp32" in spec.precisions
    assert spec.pad % spec.multiple == 0
    assert spec.opt_in == ("not for commercial use" in spec.licence and "Apache" not in spec.licence)


def test_find_looks_among_the_models_of_the_purpose() -> None:
    """A restorer of faces is no upscaler; the failure names the field and only what would do there."""
    assert Catalogue().find("gfpgan", Purpose.FACE_RESTORE).name == "gfpgan-v1.4"
    with pytest.raises(JobFailed) as caught:
        Catalogue().find("gfpgan", Purpose.UPSCALE)
    assert caught.value.code is FailureCode.MODEL_NOT_FOUND
    with pytest.raises(JobFailed) as caught:
        Catalogue().find("x4plus", Purpose.FACE_RESTORE, field="faces.model")
    assert caught.value.message.startswith("faces.model: must be one of gfpgan-v1.4, gfpgan-v1.3, ")
    assert "parsenet" not in caught.value.message


def test_find_guesses_what_a_misspelt_name_meant() -> None:
    with pytest.raises(JobFailed, match=r"got 'realesrgan-x4pluss'; did you mean 'realesrgan-x4plus'\?"):
        find("realesrgan-x4pluss")


def test_model_under_a_restricting_licence_is_served_only_to_who_opted_in() -> None:
    """And the door says why."""
    with pytest.raises(JobFailed) as caught:
        catalogue((), ModelSettings()).find("codeformer")
    assert caught.value.code is FailureCode.MODEL_NOT_AVAILABLE
    assert "S-Lab License 1.0: not for commercial use" in caught.value.message
    assert "UPSCALE_MODELS__OPT_IN" in caught.value.message
    assert catalogue((), ModelSettings(opt_in=("CodeFormer",))).find("codeformer").name == "codeformer"


def test_disabled_model_is_not_served_under_any_of_its_names() -> None:
    served = catalogue((), ModelSettings(disabled=("RealESRGAN_x4plus_anime_6B",)))
    with pytest.raises(JobFailed, match="model: 'realesrgan-x4plus-anime-6b' is not served by this deployment: its op"):
        served.find("anime-6b")
    with pytest.raises(JobFailed) as caught:
        served.find("nothing of the kind")
    assert "realesrgan-x4plus-anime-6b" not in caught.value.message
    assert served.find("x4plus").name == "realesrgan-x4plus"


@pytest.mark.parametrize("field", ["disabled", "opt_in"])
def test_setting_that_names_no_model_is_an_error(field: str) -> None:
    """The model that was to be disabled would be served."""
    with pytest.raises(InvalidSettings, match=rf"UPSCALE_MODELS__{field.upper()}: no model is called 'x5plus'"):
        catalogue((), ModelSettings.model_validate({field: "x4plus,x5plus"}))


def test_imported_models_are_found_beside_the_known_ones() -> None:
    mine = publishing(b"", "my-model")
    found = catalogue([mine], ModelSettings(disabled=("swinir",)))
    assert found.find("My_Model") is mine
    assert found.find("x4plus") is find("x4plus")
    assert catalogue([mine], ModelSettings(disabled=("my-model",))).withheld(mine) is not None


def test_restoring_faces_needs_what_finds_and_parses_them() -> None:
    assert [spec.name for spec in needed(find("gfpgan"))] == ["gfpgan-v1.4", "retinaface-resnet50", "parsenet"]
    assert needed(find("x4plus")) == (find("x4plus"),)


def test_names_that_fold_alike_are_one_name() -> None:
    assert folded("vendor/Real_ESRGAN x4plus.pth:version") == "realesrganx4plus"
    assert folded("My-Model.safetensors") == folded("my_model")
