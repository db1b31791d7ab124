"""Pictures decoded in processes of their own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import JobFailed
from pipeline.imaging.decode import decode
from pipeline.imaging.header import Limits
from pipeline.worker.decoder import DecoderPool
from pipeline.worker.decoder_process import DecoderUnavailable
from schemas.failures import FailureCode
from tests.support.decoder_entries import BABBLE, CRASH, LIE
from tests.support.images import make_pixels
from tests.support.picture_files import LIMITS, RGB_ALPHA, chunk, exif, many_scans, photo, png, png_header, saved

MEMORY_BYTES = 2 * 2**30
LARGE = Limits(max_pixels=25_000_000, max_side=16_384, min_side=1, max_aspect=200.0)


@pytest.fixture
async def pool() -> AsyncIterator[DecoderPool]:
    """One decoder with room and time enough."""
    async with DecoderPool(1, LARGE, 60.0, MEMORY_BYTES) as pool:
        yield pool


@pytest.fixture
async def misbehaving() -> AsyncIterator[DecoderPool]:
    """One decoder that misbehaves on files of certain widths."""
    entry = "tests.support.decoder_entries"
    async with DecoderPool(1, LIMITS, 60.0, MEMORY_BYTES, entry=entry) as pool:
        yield pool


def process_of(pool: DecoderPool) -> int:
    """The process id of the pool's only decoder."""
    process = pool._slots[0].process
    assert process is not None
    return process.pid


def kill(pid: int) -> None:
    """Kill a process and wait until it is dead, leaving it to its parent to notice."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def children() -> set[str]:
    """The process ids of this process's children; other tests' servers are among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def failure_of(pool: DecoderPool, data: bytes) -> JobFailed:
    """What decoding `data` fails with."""
    with pytest.raises(JobFailed) as failed:
        await pool.decode(data, keep_exif=False)
    return failed.value


@pytest.mark.parametrize("depth", [8, 16])
async def test_pool_gives_what_decoding_in_place_gives(pool: DecoderPool, depth: int) -> None:
    """Samples, alpha, EXIF and warnings come through shared memory unchanged."""
    data = png(make_pixels(30, 40, 4, depth=depth), RGB_ALPHA, depth, before=chunk(b"eXIf", exif(1, make="Maker")))

    here, there = decode(data, LARGE, keep_exif=True), await pool.decode(data, keep_exif=True)

    assert there.warnings == here.warnings
    assert there.raster.exif == here.raster.exif is not None
    assert there.raster.pixels.dtype == here.raster.pixels.dtype
    assert np.array_equal(there.raster.pixels, here.raster.pixels)
    assert np.array_equal(there.raster.alpha, here.raster.alpha)


async def test_pool_keeps_pictures_apart(pool: DecoderPool) -> None:
    """A raster stays what it was when its decoder goes on to other pictures."""
    files = [saved(Image.new("RGB", (64, 64), (shade, 0, 0)), "png") for shade in range(8)]

    rasters = await asyncio.gather(*(pool.decode(file, keep_exif=False) for file in files))

    assert [int(decoded.raster.pixels[0, 0, 0]) for decoded in rasters] == list(range(8))


async def test_pool_takes_large_files(pool: DecoderPool) -> None:
    """A file too large to be copied on the event loop arrives whole."""
    data = saved(Image.effect_noise((1300, 1000), 80), "bmp")

    assert np.array_equal(
        (await pool.decode(data, keep_exif=False)).raster.pixels, decode(data, LARGE, keep_exif=False).raster.pixels
    )


async def test_pool_passes_failures_on(pool: DecoderPool) -> None:
    """A broken file fails with its own code, and the process goes on."""
    before = process_of(pool)

    failed = await failure_of(pool, saved(photo(), "png")[:-20])

    assert failed.code is FailureCode.IMAGE_TRUNCATED
    assert process_of(pool) == before


async def test_pool_refuses_by_header_without_a_decoder() -> None:
    """What the header rules out costs no process."""
    pool = DecoderPool(0, LIMITS, 1.0, MEMORY_BYTES)

    assert (await failure_of(pool, png_header(16_000, 16_000))).code is FailureCode.IMAGE_TOO_LARGE


async def test_pool_decodes_on_after_an_idle_process_was_killed(pool: DecoderPool) -> None:
    """A process that died between pictures is replaced, and no picture pays for it."""
    kill(process_of(pool))

    decoded = await pool.decode(saved(photo(), "png"), keep_exif=False)

    assert decoded.raster.width == 32


@pytest.mark.parametrize("width", [CRASH, LIE, BABBLE])
async def test_pool_blames_the_file_that_ends_its_decoder_twice(misbehaving: DecoderPool, width: int) -> None:
    """A decoder that crashes, lies about its result or babbles is tried once more; then the file is at fault."""
    failed = await failure_of(misbehaving, png_header(width, 10))

    assert failed.code is FailureCode.IMAGE_DECODER_CRASHED
    assert (await misbehaving.decode(saved(photo(), "png"), keep_exif=False)).raster.width == 32


async def test_pool_ends_decoding_that_takes_too_long() -> None:
    """A progressive picture with countless scans is given up at the time limit, and its process with it."""
    async with DecoderPool(1, LARGE, 0.2, MEMORY_BYTES) as pool:
        before = process_of(pool)

        failed = await failure_of(pool, many_scans(2000))

        assert failed.code is FailureCode.IMAGE_DECODE_TIMEOUT
        assert "0.2 seconds" in failed.message
        assert (await pool.decode(saved(photo(), "png"), keep_exif=False)).raster.width == 32
        assert process_of(pool) != before


async def test_pool_refuses_what_exceeds_the_memory_of_a_decoder() -> None:
    """Memory is limited by the system; the picture fails, and the worker does not."""
    async with DecoderPool(1, LARGE, 60.0, 250 * 2**20) as pool:
        failed = await failure_of(pool, saved(Image.new("RGB", (4900, 4900)), "png"))

    assert failed.code is FailureCode.IMAGE_TOO_COMPLEX


async def test_pool_stays_usable_when_a_waiter_leaves(pool: DecoderPool) -> None:
    """Cancelling one picture, decoding or queued, frees its place for the next."""
    busy = asyncio.create_task(pool.decode(many_scans(2000), keep_exif=False))
    queued = asyncio.create_task(pool.decode(saved(photo(), "png"), keep_exif=False))
    await asyncio.sleep(0)

    for task in (busy, queued):
        task.cancel()

    assert (await pool.decode(saved(photo(), "png"), keep_exif=False)).raster.width == 32
    assert busy.cancelled()
    assert queued.cancelled()


async def test_pool_answers_whoever_waits_when_it_closes() -> None:
    """A picture in hand when the pool closes fails; it does not wait for ever."""
    async with DecoderPool(1, LARGE, 60.0, MEMORY_BYTES) as pool:
        busy = asyncio.create_task(pool.decode(many_scans(2000), keep_exif=False))
        await asyncio.sleep(0)

    with pytest.raises(DecoderUnavailable, match="stopped"):
        await busy


async def test_pool_says_when_decoders_cannot_start() -> None:
    """Too little memory to start is the operator's matter: it fails at start, not picture by picture."""
    with pytest.raises(DecoderUnavailable, match="1048576 bytes"):
        async with DecoderPool(1, LIMITS, 1.0, 2**20):
            pass


async def test_pool_can_be_cancelled_while_it_starts() -> None:
    """A process that was being started is not left behind."""
    before = children()
    starting = asyncio.create_task(DecoderPool(1, LIMITS, 1.0, MEMORY_BYTES).__aenter__())
    while not children() - before:  # noqa: ASYNC110  # the kernel sends no event
        await asyncio.sleep(0)

    starting.cancel()
    await asyncio.wait([starting])

    assert starting.cancelled()
    assert not children() - before


async def test_pool_ends_its_processes() -> None:
    """Nothing is left behind, idle or busy."""
    async with DecoderPool(2, LIMITS, 1.0, MEMORY_BYTES) as pool:
        pids = [slot.process.pid for slot in pool._slots if slot.process]

    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_decoder_process_is_confined(pool: DecoderPool) -> None:
    """No environment of ours, no files to write, no core dumps, little memory."""
    process = Path(f"/proc/{process_of(pool)}")
    limits = {line[:26].strip(): line[26:47].strip() for line in (process / "limits").read_text().splitlines()}

    assert b"PATH=" not in (process / "environ").read_bytes()
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    assert limits["Max address space"] == str(MEMORY_BYTES)
