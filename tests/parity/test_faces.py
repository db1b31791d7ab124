"""Faces against upstream's own GFPGANer and facexlib, on the same seeded random weights in the official file layouts.

Landmarks are given where random weights would find no face. What differs on purpose is rounding, and what upstream does
to 16 bits, grey and alpha, which tests/unit/imaging/test_paste.py is about.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from pipeline.gpu.face import find_faces
from pipeline.gpu.infer import infer
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.networks import upstream
from pipeline.gpu.networks.upstream import FaceRestoreHelper, GFPGANer, RestoreFormer, RetinaFace, init_detection_model
from pipeline.imaging.align import aligning, crop
from pipeline.imaging.faces import Face
from pipeline.imaging.paste import Restored, paste
from pipeline.imaging.raster import Pixels, Raster
from pipeline.worker.faces import FaceNetworks, FaceSteps, restore_faces
from schemas.options import FaceOptions
from tests.support.errors_between import assert_within
from tests.support.face_networks import loaded, narrow_gfpgan, narrow_parsenet, random_state, saved

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:.*pretrained.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*weight enum.*:UserWarning"),
]

LEFT, TOP, SIDE = 128, 24, 192
"""A square of the astronaut with her face in it."""
LANDMARKS = ((205, 101), (247, 103), (224, 129), (202, 138), (244, 141))
"""In the whole picture."""


@pytest.fixture(autouse=True)
def _inference_mode() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return np.ascontiguousarray(data.astronaut()[TOP : TOP + SIDE, LEFT : LEFT + SIDE])


def face_at(landmarks: Sequence[tuple[float, float]]) -> Face:
    return Face((0.0, 0.0, 60.0, 60.0), 1.0, cast("Any", tuple(landmarks)))


FACE = face_at([(x - LEFT, y - TOP) for x, y in LANDMARKS])
SECOND = face_at([(0.5 * x + 20, 0.6 * y + 60) for x, y in FACE.landmarks])
"""Over the first, and partly beside the picture."""


def bgr(pixels: Pixels) -> Pixels:
    return cast("Pixels", np.ascontiguousarray(pixels[..., ::-1]))


def assert_nearly(ours: Pixels, theirs: Pixels) -> None:
    """Six steps at most, one in 500 samples more than one, and ours the brighter: upstream cuts fractions off.

    Upstream moves its mask by 32nds of a pixel, which shows where what is pasted differs most from what was there.
    """
    assert_within(ours, theirs, steps=6)
    above = ours.astype(int) - theirs.astype(int)
    assert (np.abs(above) > 1).mean() < 2e-3
    assert above.mean() >= 0


class Enlarging:
    """In place of upstream's RealESRGANer."""

    def enhance(self, picture: Pixels, outscale: float) -> tuple[Any, None]:
        size = (round(picture.shape[1] * outscale), round(picture.shape[0] * outscale))
        return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), None


def enhancer(path: Path, landmarks: Sequence[Face], scale: int = 2, arch: str = "clean") -> Any:
    """Upstream's program, told where faces are, and with the noise of the file and not of chance."""
    program = GFPGANer(str(path), upscale=scale, arch=arch, bg_upsampler=Enlarging(), device=torch.device("cpu"))
    if arch == "clean":
        program.gfpgan.forward = partial(program.gfpgan.forward, randomize_noise=False)
    helper = program.face_helper

    def given(**_: object) -> None:
        helper.all_landmarks_5 = [np.array(face.landmarks, dtype=np.float32) for face in landmarks]

    helper.get_face_landmarks_5 = given
    return program


async def off_loop(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def ours(picture: Pixels, faces: Sequence[Face], models: dict[str, Any], scale: int = 2) -> Pixels:
    """What a job makes of it, with a launch for each crop; several in one may differ by a step in the last place."""

    async def find(pixels: Pixels) -> Sequence[Face]:
        return faces

    async def compute(model: str, crops: Sequence[Pixels]) -> Sequence[Pixels]:
        return [infer(models[model], [crop], "cpu")[0] for crop in crops]

    enlarged = bgr(Enlarging().enhance(bgr(picture), scale)[0])
    restored: Awaitable[Raster] = restore_faces(
        Raster(picture),
        Raster(enlarged),
        FaceNetworks("retinaface-resnet50", "gfpgan-v1.4", "parsenet", {}),
        FaceOptions(),
        FaceSteps(find, compute, off_loop),
    )
    return asyncio.run(cast("Any", restored)).pixels


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where upstream looks for its files before it would fetch them."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "gfpgan" / "weights"
    folder.mkdir(parents=True)
    return folder


def test_whole_faces_are_gfpganers(in_folder: Path, picture: Pixels) -> None:
    """The official networks at their full size, from files laid out as the official ones."""
    restorer, parser = (upstream.FACE_NETWORKS[name]() for name in ("GFPGANv1Clean", "ParseNet"))
    detector = RetinaFace("resnet50", device="cpu")
    specs = [
        saved(catalog.find("gfpgan-v1.4"), {"params_ema": random_state(restorer)}, in_folder),
        saved(catalog.find("parsenet"), random_state(parser), in_folder),
    ]
    saved(catalog.find("retinaface-resnet50"), random_state(detector), in_folder)
    assert specs[0].official is not None

    theirs = enhancer(in_folder / specs[0].official.file, [FACE]).enhance(bgr(picture))[2]

    models = {spec.name: loaded(spec.name, weights.load(spec, in_folder).tensors) for spec in specs}
    assert_nearly(ours(picture, [FACE], models), bgr(theirs))


@pytest.fixture
def narrow(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Both programs with narrow networks, and ours as models."""
    monkeypatch.setattr("gfpgan.utils.GFPGANv1Clean", lambda **_: narrow_gfpgan())
    monkeypatch.setattr("facexlib.parsing.ParseNet", lambda **_: narrow_parsenet())
    monkeypatch.setattr(upstream, "FACE_NETWORKS", {"GFPGANv1Clean": narrow_gfpgan, "ParseNet": narrow_parsenet})
    monkeypatch.setattr("pipeline.gpu.networks.faces.FACE_NETWORKS", upstream.FACE_NETWORKS)
    restorer, parser = random_state(narrow_gfpgan()), random_state(narrow_parsenet())
    saved(catalog.find("gfpgan-v1.4"), {"params_ema": restorer}, in_folder)
    saved(catalog.find("parsenet"), parser, in_folder)
    saved(catalog.find("retinaface-resnet50"), random_state(RetinaFace("resnet50", device="cpu")), in_folder)
    return {"gfpgan-v1.4": loaded("gfpgan-v1.4", restorer), "parsenet": loaded("parsenet", parser)}


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_faces_are_gfpganers_at_every_scale(
    in_folder: Path, picture: Pixels, narrow: dict[str, Any], scale: int
) -> None:
    """Two faces, one over the other and over the border."""
    program = enhancer(in_folder / "GFPGANv1.4.pth", [FACE, SECOND], scale)

    theirs = program.enhance(bgr(picture), weight=0.5)[2]

    assert_nearly(ours(picture, [FACE, SECOND], narrow, scale), bgr(theirs))


def test_picture_without_faces_is_gfpganers(in_folder: Path, picture: Pixels, narrow: dict[str, Any]) -> None:
    """It comes back as it was upscaled."""
    theirs = enhancer(in_folder / "GFPGANv1.4.pth", []).enhance(bgr(picture))[2]

    assert_within(ours(picture, [], narrow), bgr(theirs), steps=0)


def test_restoreformer_is_gfpganers(in_folder: Path, monkeypatch: pytest.MonkeyPatch, narrow: dict[str, Any]) -> None:
    """A narrow one, on a crop that is aligned already."""
    smaller = partial(RestoreFormer, ch=32, n_embed=64)
    # The class calls itself by its name in its module, so that the module as a whole is stood in for.
    monkeypatch.setitem(sys.modules, "gfpgan.archs.restoreformer_arch", stand_in := ModuleType("restoreformer_arch"))
    monkeypatch.setattr(stand_in, "RestoreFormer", smaller, raising=False)
    monkeypatch.setattr("pipeline.gpu.networks.faces.FACE_NETWORKS", {"RestoreFormer": smaller})
    state = random_state(smaller())
    saved(catalog.find("restoreformer"), {"params": state}, in_folder)
    aligned = cv2.resize(data.astronaut()[:250, 100:350], (512, 512))

    program = enhancer(in_folder / "RestoreFormer.pth", [], arch="RestoreFormer")
    theirs = program.enhance(bgr(aligned), has_aligned=True)[1][0]

    assert_within(infer(loaded("restoreformer", state), [aligned], "cpu")[0], bgr(theirs), steps=1)


@pytest.mark.parametrize(("network", "prefix"), [("resnet50", ""), ("mobile0.25", "module.")])
def test_faces_found_are_facexlibs(network: str, prefix: str, in_folder: Path, picture: Pixels) -> None:
    """Every box, score and landmark, in the same order, of networks whose random weights see faces everywhere."""
    name = f"retinaface-{network}"
    module = RetinaFace(network, device="cpu")
    state = {f"{prefix}{key}": value for key, value in sure_of_itself(module, picture).items()}
    spec = saved(catalog.find(name), state, in_folder)
    program = init_detection_model(f"retinaface_{network}", device="cpu", model_rootpath=str(in_folder))

    theirs = program.detect_faces(bgr(picture[:150]), 0.97)

    found = find_faces(loaded(name, weights.load(spec, in_folder).tensors), picture[:150], "cpu")
    rows = [[*face.box, face.score, *np.ravel(face.landmarks)] for face in found]
    assert len(theirs) > 3
    np.testing.assert_allclose(rows, theirs, rtol=1e-5, atol=1e-3)


def sure_of_itself(module: Any, picture: Pixels) -> dict[str, torch.Tensor]:
    """Random weights with scores up to nearly 1 in this picture; at 1, ties would be in no order."""
    state = random_state(module)
    _weigh(state, 1e-6)
    module.load_state_dict(state)
    seen = module.eval()(torch.from_numpy(bgr(picture)).permute(2, 0, 1)[None].float())
    _weigh(state, 8 / float(torch.logit(seen[1][0, :, 1].double()).max()))
    return state


def _weigh(state: dict[str, torch.Tensor], factor: float) -> None:
    """Odds for a face are linear in what this multiplies."""
    for head, part in product(range(3), ("weight", "bias")):
        state[f"ClassHead.{head}.conv1x1.{part}"] *= factor


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_crops_and_pasting_are_facexlibs(scale: int, picture: Pixels) -> None:
    """Faces that are given, with a mask that is given."""
    scores = torch.nn.functional.interpolate(
        torch.randn(1, 19, 16, 16, generator=torch.Generator().manual_seed(1)), 512
    )
    mask = (~torch.isin(scores.argmax(1)[0], torch.tensor([0, 14, 16, 17, 18]))).numpy().astype(np.uint8) * 255
    helper = untrained_helper(picture, scale, lambda _: (scores, None))
    helper.all_landmarks_5 = [np.array(face.landmarks, dtype=np.float32) for face in (FACE, SECOND)]
    helper.align_warp_face()
    source = Raster(picture)
    affines = [affine for face in (FACE, SECOND) if (affine := aligning(face)) is not None]
    for affine, theirs in zip(affines, helper.cropped_faces, strict=True):
        assert_within(crop(source, affine), bgr(theirs), steps=1)
        helper.add_restored_face(np.roll(theirs, 5, axis=0))
    helper.get_inverse_affine()
    enlarged = Enlarging().enhance(bgr(picture), scale)[0]

    theirs = helper.paste_faces_to_input_image(upsample_img=enlarged)

    restored = [Restored(bgr(face), mask, affine) for face, affine in zip(helper.restored_faces, affines, strict=True)]
    assert_nearly(paste(source, Raster(bgr(enlarged)), restored, 1.0).pixels, bgr(theirs))


def untrained_helper(picture: Pixels, scale: int, parse: Callable[[torch.Tensor], Any]) -> Any:
    """facexlib's program without its networks."""
    helper = FaceRestoreHelper.__new__(FaceRestoreHelper)
    helper.upscale_factor, helper.face_size, helper.device = scale, (512, 512), "cpu"
    helper.face_template = np.array(
        [
            [192.98138, 239.94708],
            [318.90277, 240.1936],
            [256.63416, 314.01935],
            [201.26117, 371.41043],
            [313.08905, 371.15118],
        ]
    )
    helper.pad_blur, helper.use_parse, helper.face_parse = False, True, parse
    helper.clean_all()
    helper.read_image(bgr(picture))
    return helper
