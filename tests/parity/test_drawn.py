"""Networks whose weights do not come with the install, with drawn ones in the official layout: against upstream's own
program and against spandrel, untiled in float32, to one step; and what 16 bits may cost.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spandrel import ModelLoader

from pipeline.gpu.infer import infer
from pipeline.gpu.model import LoadedModel, load_spec
from pipeline.gpu.models.specs import ModelSpec, Precision
from pipeline.gpu.networks.upscalers import upstream_network
from pipeline.gpu.networks.upstream import RealESRGANer
from pipeline.gpu.reference import enhance
from pipeline.imaging.raster import Pixels
from pipeline.imaging.stitch import stitch
from pipeline.imaging.tile import cut, plan
from tests.support import drawn
from tests.support.errors_between import assert_within, psnr
from tests.support.networks import cpu_profile
from tests.support.photographs import photograph

pytestmark = pytest.mark.parity

Files = Callable[[ModelSpec], ModelSpec]
Ours = Callable[..., LoadedModel]

REAL_ESRGAN = (drawn.REALESRNET, drawn.X2PLUS, drawn.X1, drawn.GENERAL)
SWINIR = (drawn.SWINIR_M, drawn.SWINIR_M_X2, drawn.SWINIR_L)
DENOISE = 0.3


def by_name(spec: ModelSpec) -> str:
    return spec.name


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Launches of this size gain nothing from a second, and on a busy machine wait for it ten times their own time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def filed(folder: Path) -> Files:
    """A model with its drawn weights in a file, which is written once."""
    return cache(lambda spec: (drawn.with_denoiser if spec is drawn.GENERAL else drawn.installed)(spec, folder))


@pytest.fixture(scope="module")
def ours(filed: Files, folder: Path) -> Ours:
    """Our model in a precision and at a denoising strength."""

    @cache
    def loaded(spec: ModelSpec, precision: Precision = "fp32", denoise: float | None = None) -> LoadedModel:
        return load_spec(filed(spec), denoise, replace(cpu_profile(), precision=precision), folder)

    return loaded


def upstreams(spec: ModelSpec, folder: Path, *, denoise: float | None = None) -> Any:
    """Upstream's program with the files themselves, mixed by its own arithmetic as its script does for `-dn`."""
    path = str(folder / spec.official.file)
    mix: dict[str, Any] = {"model_path": path}
    if denoise is not None:
        mix = {"model_path": [path, str(folder / spec.denoiser.file)], "dni_weight": [denoise, 1 - denoise]}
    module = upstream_network(spec, drawn.network(spec).state_dict())
    return RealESRGANer(scale=spec.scale, model=module, pre_pad=0, half=False, device=torch.device("cpu"), **mix)


def untiled(model: LoadedModel, picture: Pixels, sides: tuple[int, ...] = ()) -> Pixels:
    """One window for the whole picture, or windows of these sides."""
    height, width = picture.shape[:2]
    multiple = model.spec.multiple
    whole = tuple(sorted(-(-length // multiple) * multiple for length in (height, width)))
    layout = plan(height, width, pad=model.spec.pad if sides else 0, sides=sides or whole, multiple=multiple)
    assert sides or len(layout.windows) == 1
    return stitch(layout, [infer(model, [tile], "cpu")[0] for tile in cut(picture, layout)], model.spec.scale)


def assert_spread(picture: Pixels) -> None:
    """A flat or saturated answer would agree with anything."""
    assert picture.std() > 25
    assert np.ptp(picture) > 150
    assert np.mean((picture == 0) | (picture == 255)) < 0.3


@pytest.mark.parametrize("spec", REAL_ESRGAN, ids=by_name)
@pytest.mark.parametrize("size", [(17, 24), (22, 9)])
def test_colour_is_upstreams(spec: ModelSpec, size: tuple[int, int], filed: Files, folder: Path, ours: Ours) -> None:
    """Every architecture, with sides that its blocks divide and sides that they do not."""
    picture = photograph("astronaut", *size)
    theirs = enhance(upstreams(filed(spec), folder), picture)

    assert_within(untiled(ours(spec), picture), theirs, steps=1)
    assert_spread(theirs)


def test_denoising_strength_is_upstreams(filed: Files, folder: Path, ours: Ours) -> None:
    """Parameters are mixed as upstream's script mixes them, and the mixture is neither of the two."""
    picture = photograph("chelsea", 24, 31)
    theirs = enhance(upstreams(filed(drawn.GENERAL), folder, denoise=DENOISE), picture)

    assert_within(untiled(ours(drawn.GENERAL, denoise=DENOISE), picture), theirs, steps=1)
    assert_spread(theirs)
    for end in (None, 0.0):
        assert psnr(untiled(ours(drawn.GENERAL, denoise=end), picture), theirs) < 35


@pytest.mark.parametrize("spec", SWINIR, ids=by_name)
def test_swinir_is_spandrels(spec: ModelSpec, filed: Files, folder: Path, ours: Ours) -> None:
    """Spandrel reads the file itself and is asked as its documentation says."""
    picture = photograph("rocket", 13, 16)
    descriptor = ModelLoader().load_from_file(folder / filed(spec).official.file)
    theirs = descriptor(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    expected = (theirs[0].permute(1, 2, 0) * 255).round().byte().numpy()

    assert_within(untiled(ours(spec), picture), expected, steps=1)
    assert_spread(expected)


@pytest.mark.parametrize(
    ("spec", "least"),
    [(drawn.REALESRNET, 48.0), (drawn.X2PLUS, 48.0), (drawn.GENERAL, 55.0), (drawn.SWINIR_M, 50.0)],
    ids=lambda value: value.name if isinstance(value, ModelSpec) else "",
)
def test_bf16_stays_near_float32(spec: ModelSpec, least: float, ours: Ours) -> None:
    """Decibels on a photograph; drawn networks round worse than trained ones."""
    picture = photograph("coffee", 16, 16)
    low = ours(spec, "bf16")

    assert low.precision == "bf16"
    assert psnr(untiled(low, picture), untiled(ours(spec), picture)) >= least


@pytest.mark.parametrize(
    ("spec", "sides"), [(drawn.X1, (64, 192)), (drawn.GENERAL, (64, 84))], ids=lambda value: getattr(value, "name", "")
)
def test_tiling_changes_nothing_where_the_context_is_the_networks_reach(
    spec: ModelSpec, sides: tuple[int, ...], ours: Ours
) -> None:
    """Also where it folds pixels into blocks: windows begin between them, so that all see the same blocks."""
    picture = photograph("astronaut", 64, 299 if spec is drawn.X1 else 97)

    assert_within(untiled(ours(spec), picture, sides), untiled(ours(spec), picture), steps=1)
