"""The score that needs no original."""

import numpy as np

from pipeline.gpu.networks.niqe import niqe
from tests.support.photographs import photograph

PICTURE = photograph("coffee", 196, 196)


def test_niqe_prefers_a_photograph_to_what_was_done_to_it() -> None:
    """Blocks and noise are further from nature than the original."""
    blocky = PICTURE[::4, ::4].repeat(4, axis=0).repeat(4, axis=1)
    noisy = np.random.default_rng(1).integers(0, 256, PICTURE.shape, dtype=np.uint8)
    found = [niqe(picture) for picture in (PICTURE, blocky, noisy)]

    assert None not in found
    assert found[0] is not None
    assert 1 < found[0] < 8
    assert found[0] < min(found[1:])


def test_niqe_says_nothing_where_there_is_nothing_to_compare() -> None:
    """One block has no spread, and a flat picture no statistics: a number would be an invention."""
    assert niqe(PICTURE[:100, :190]) is None
    assert niqe(np.full((200, 200, 3), 90, np.uint8)) is None
