"""The page of models follows from the catalogue, and shows what comes with the install."""

from dataclasses import replace

from PIL import Image
from pydantic import TypeAdapter

from docs.models import MEASURED, SHEET, models_page, where
from pipeline.gpu.models.catalog import MODELS
from pipeline.gpu.models.specs import Purpose
from pipeline.tools.contact_sheet import GAP, SIDE, TITLE
from pipeline.tools.photographs import SUBJECTS
from pipeline.tools.quality import Report

INSTALLED = [spec for spec in MODELS if spec.purpose is Purpose.UPSCALE and spec.carried is not None]
LARGEST_BYTES = 400_000


def test_page_names_every_model_with_its_licence_and_its_files() -> None:
    """And the digests by which a file is known."""
    page = models_page()
    for spec in MODELS:
        assert f"\n| `{spec.name}` | {spec.scale} | {spec.good_at} | {spec.not_good_at} | {where(spec)} |" in page
        for published in filter(None, (spec.carried, spec.official, spec.denoiser)):
            assert published.sha256 in page
        assert all(f"`{alias}`" in page for alias in spec.aliases)


def test_model_whose_weights_are_not_there_says_how_to_get_them() -> None:
    """Nobody finds out by a failed job."""
    absent = replace(MODELS[0], carried=None)
    assert where(MODELS[0]) == "come with the install"
    assert where(absent) == f"not here; `upscale models pull {absent.name}`"
    assert where(replace(absent, opt_in=True)) == "not here; the operator must opt in"


def test_figures_are_of_every_model_of_the_install() -> None:
    """Beside bicubic, the original and upstream's program, on every photograph: `make models` after adding one."""
    report = TypeAdapter(Report).validate_json(MEASURED.read_bytes())
    ours = [name for spec in INSTALLED for name in ((spec.name, "ours"), (spec.name, "upstream"))]
    assert [(each.model, each.by) for each in report.means] == [("original", ""), ("bicubic", ""), *ours]
    assert len(report.scores) == len(report.means) * len(SUBJECTS)


def test_sheet_shows_every_model_of_the_install_and_is_small() -> None:
    """What is given, bicubic, a column for each, and the original."""
    columns = len(INSTALLED) + 3
    with Image.open(SHEET) as sheet:
        assert sheet.size == (columns * (SIDE + GAP) - GAP, TITLE + len(SUBJECTS) * (SIDE + GAP) - GAP)
    assert SHEET.stat().st_size < LARGEST_BYTES
