"""A decoder process is killed in the middle of a picture."""

import asyncio
import os
import signal

import numpy as np
import pytest

from pipeline.imaging.decode import decode
from pipeline.imaging.header import Limits
from pipeline.worker.decoder import DecoderPool
from tests.support.picture_files import many_scans

pytestmark = pytest.mark.fault
LIMITS = Limits(max_pixels=25_000_000, max_side=16_384, min_side=1, max_aspect=200.0)


async def test_killed_decoder_costs_the_picture_one_retry_and_nothing_else() -> None:
    """The picture in hand is decoded again by a fresh process; the one that waits is decoded after it."""
    data = many_scans(60)
    async with DecoderPool(1, LIMITS, 60.0, 2 * 2**30) as pool:
        first = pool._slots[0].process
        assert first is not None
        in_hand = asyncio.create_task(pool.decode(data, keep_exif=False))
        waiting = asyncio.create_task(pool.decode(data, keep_exif=False))
        await asyncio.sleep(0)  # lets the first task run to where it awaits its decoder

        os.kill(first.pid, signal.SIGKILL)
        results = await asyncio.gather(in_hand, waiting)

    expected = decode(data, LIMITS, keep_exif=False).raster.pixels
    assert first.is_gone()
    assert all(np.array_equal(result.raster.pixels, expected) for result in results)
