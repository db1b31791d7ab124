"""No EXIF block, whatever it holds, costs a caller the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.imaging.decode import decode
from pipeline.imaging.formats import Format
from tests.support.picture_files import LIMITS, exif, photo, saved

PICTURES = {kind: decode(saved(photo(), kind), LIMITS, keep_exif=False) for kind in ("jpeg", "png", "webp")}
SOUND = exif(1, make="Maker", copyright="Someone")


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A sound block with some bytes changed, and perhaps cut short."""
    block = bytearray(SOUND)
    for position in draw(st.lists(st.integers(4, len(block) - 1), max_size=8)):
        block[position] = draw(st.integers(0, 255))
    return bytes(block[: draw(st.integers(1, len(block)))])


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP])
@given(block=st.binary(min_size=1, max_size=100) | _damaged(), keep=st.booleans())
def test_any_exif_block_leaves_the_pixels_alone(kind: Format, block: bytes, keep: bool) -> None:
    """At most it turns them: each colour is there as often as before."""
    result = decode(saved(photo(), kind, exif=b"Exif\0\0" + block), LIMITS, keep_exif=keep)

    found, expected = (
        np.sort(raster.pixels.reshape(-1, 3), axis=0) for raster in (result.raster, PICTURES[kind].raster)
    )
    assert np.array_equal(found, expected)
    assert set(result.warnings) <= {"exif_dropped"}
