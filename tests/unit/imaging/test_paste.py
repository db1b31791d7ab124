"""Guarantees of pipeline.imaging.paste; parity with facexlib is in tests/parity/test_faces.py.

The kinds of picture that upstream pastes wrongly are here: 16 bits, grey and alpha.
"""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.imaging import paste as pasting
from pipeline.imaging.align import SIDE, Affine, aligning
from pipeline.imaging.paste import EDGE, Restored, paste, returning, soft_mask
from pipeline.imaging.raster import Pixels, Raster
from tests.support.faces import make_face
from tests.support.images import make_raster

INSIDE = (slice(80, 120), slice(80, 120))
"""Well inside the face at 50, 50 of 100 pixels."""


def placed(left: float = 50, top: float = 50, side: float = 100) -> Affine:
    affine = aligning(make_face(left, top, side))
    assert affine is not None
    return affine


def flat(colour: tuple[int, int, int], dtype: type = np.uint8, affine: Affine | None = None) -> Restored:
    """A restored face of one colour, all of which is face."""
    pixels = np.full((SIDE, SIDE, 3), colour, dtype)
    whole = np.full((SIDE, SIDE), np.iinfo(dtype).max, dtype)
    return Restored(pixels, whole, placed() if affine is None else affine)


@pytest.mark.parametrize(
    ("depth", "dtype", "colour"), [(8, np.uint8, (10, 200, 90)), (16, np.uint16, (9, 60_000, 257))]
)
def test_face_replaces_what_was_there_at_all_its_bits(depth: int, dtype: type, colour: tuple[int, int, int]) -> None:
    """Upstream's 16-bit faces are 8-bit samples in a 16-bit picture, which is black."""
    source = make_raster(200, 200, depth=depth)
    result = paste(source, source, [flat(colour, dtype)], 1.0)
    assert result.pixels.dtype == dtype
    np.testing.assert_array_equal(np.broadcast_to(colour, (40, 40, 3)), result.pixels[INSIDE])


def test_grey_picture_stays_grey() -> None:
    """It has the luma of the restored face; upstream's program dies of it."""
    source = make_raster(200, 200, grey=True)
    result = paste(source, source, [flat((10, 200, 90))], 1.0)
    assert result.is_grey
    np.testing.assert_array_equal(
        np.full((40, 40, 1), round(0.299 * 10 + 0.587 * 200 + 0.114 * 90)), result.pixels[INSIDE]
    )


def test_alpha_and_what_lies_beside_the_face_are_untouched() -> None:
    """To the last bit; the picture that came in is not written to."""
    source = make_raster(200, 200, alpha=True)
    before = source.pixels.copy()
    result = paste(source, source, [flat((255, 0, 0))], 1.0)
    assert result.alpha is source.alpha
    np.testing.assert_array_equal(before, source.pixels)
    outside = np.ones((200, 200), dtype=bool)
    outside[50:152, 50:152] = False
    np.testing.assert_array_equal(before[outside], result.pixels[outside])
    assert (before != result.pixels).any()


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 100), (0.25, 125), (1.0, 200)])
def test_weight_is_the_share_of_the_restored_face(weight: float, expected: int) -> None:
    """At 0 the picture is what it was."""
    source = Raster(np.full((200, 200, 3), 100, np.uint8))
    result = paste(source, source, [flat((200, 200, 200))], weight)
    np.testing.assert_array_equal(np.full((40, 40, 3), expected), result.pixels[INSIDE])


@pytest.mark.parametrize("scale", [0.5, 1, 2, 3.7])
def test_face_lands_on_its_place_at_every_scale(scale: float) -> None:
    """Its middle is the middle of the face in the source, scaled; whole numbers or not."""
    side = round(200 * scale)
    source, upscaled = Raster(np.zeros((200, 200, 1), np.uint8)), Raster(np.zeros((side, side, 1), np.uint8))
    result = paste(source, upscaled, [flat((255, 255, 255), affine=placed(30, 60, 100))], 1.0).pixels[..., 0]
    rows, columns = np.nonzero(result > 127)
    # Where the middle of the pixel is; upstream's shift goes half a pixel of the result beyond.
    assert rows.mean() == pytest.approx((109.9 + 0.5) * scale - 0.5, abs=0.6)
    assert columns.mean() == pytest.approx((79.9 + 0.5) * scale - 0.5, abs=0.6)


def test_only_what_is_parsed_as_face_is_pasted() -> None:
    """With soft edges: the left half of a crop changes the left half of the face's place."""
    source = Raster(np.zeros((200, 200, 3), np.uint8))
    face = flat((255, 255, 255))
    left = face.parsed.copy()
    left[:, SIDE // 2 :] = 0
    row = paste(source, source, [replace(face, parsed=left)], 1.0).pixels[100, :, 0].astype(int)
    assert row[70] == 255
    assert row[130] == 0
    assert abs(row[100] - 128) < 16
    assert (np.diff(row[70:130]) <= 0).all()


def test_mask_ends_before_the_crop_does() -> None:
    """The border of a crop is nothing the network has seen from both sides."""
    mask = soft_mask(np.full((SIDE, SIDE), 65_535, np.uint16))
    assert mask[EDGE:-EDGE, EDGE:-EDGE].min() > 0.99
    assert mask[:EDGE].max() == mask[-EDGE:].max() == mask[:, :EDGE].max() == mask[:, -EDGE:].max() == 0


def test_faces_beyond_the_borders_are_cut_or_left_out() -> None:
    """Half inside, and not inside at all."""
    source = Raster(np.zeros((200, 200, 3), np.uint8))
    half = paste(source, source, [flat((255, 255, 255), affine=placed(-50, 50))], 1.0).pixels
    assert half[100, 0, 0] == 255
    outside = paste(source, source, [flat((255, 255, 255), affine=placed(900, 50))], 1.0).pixels
    np.testing.assert_array_equal(source.pixels, outside)


def test_a_face_over_another_comes_last() -> None:
    """In the order they were found, as upstream does it."""
    source = Raster(np.zeros((200, 200, 3), np.uint8))
    result = paste(source, source, [flat((255, 0, 0)), flat((0, 0, 255))], 1.0).pixels
    np.testing.assert_array_equal([0, 0, 255], result[100, 100])


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is blended at a time is a matter of memory and of OpenCV's limit, and never seen."""
    source = make_raster(300, 300)
    noise = make_raster(SIDE, SIDE).pixels
    face = replace(flat((0, 0, 0)), pixels=noise)

    def pasted(block: int) -> Pixels:
        monkeypatch.setattr(pasting, "BLOCK", block)
        return paste(source, source, [face], 1.0).pixels

    differences = np.abs(pasted(2048).astype(int) - pasted(37))
    assert differences.max() <= 1
    assert (differences > 0).mean() < 1e-3


def test_way_back_undoes_the_way_there_but_for_upstreams_shift() -> None:
    """Half a pixel of the result above scale 1, nothing at 1 and below, each axis by itself."""
    affine = placed(30, 60, 100)
    there_and_back = returning(affine, 1, 3) @ np.vstack((affine, (0, 0, 1)))
    np.testing.assert_allclose(there_and_back, [[1, 0, 0], [0, 3, 1.5]], atol=1e-9)
