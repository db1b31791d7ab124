"""What a worker learns of its jobs, and makes of those to come."""

import asyncio

import pytest

from pipeline.worker.tempo import MEMORY_JOBS, Tempo, watch
from schemas.topics import Lane
from tests.support.exposition import sample


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_work_is_the_mean_picture_of_its_lane_times_the_messages() -> None:
    """Catalogue pictures and portraits are not of one size."""
    tempo = Tempo(Clock())
    for megapixels in (1.0, 3.0):
        tempo.did(Lane.BULK, megapixels)
    assert tempo.megapixels(Lane.BULK, 10) == pytest.approx(20)
    assert tempo.megapixels(Lane.INTERACTIVE, 10) is None


def test_speed_counts_the_time_in_which_anything_was_in_work_once() -> None:
    """Jobs side by side share the device; time without work says nothing of speed."""
    clock = Clock()
    tempo = Tempo(clock)
    assert tempo.seconds(1) is None
    with tempo.working():
        clock.time = 1.0
        with tempo.working():
            clock.time = 3.0
        tempo.did(Lane.BULK, 4.0)
        clock.time = 4.0
    tempo.did(Lane.BULK, 4.0)
    clock.time = 1000.0
    assert tempo.seconds(8.0) == pytest.approx(4.0, rel=0.05)


def test_what_was_long_ago_fades() -> None:
    """A worker that has become slow says so."""
    clock = Clock()
    tempo = Tempo(clock)
    for seconds in (1.0, 10.0):
        for _ in range(5 * MEMORY_JOBS):
            with tempo.working():
                clock.time += seconds
            tempo.did(Lane.BULK, seconds)
    assert tempo.megapixels(Lane.BULK, 1) == pytest.approx(10, rel=0.05)


async def test_watching_shows_messages_at_once_and_estimates_when_there_is_ground_for_them() -> None:
    """Nothing known is not shown as no work."""
    clock = Clock()
    tempo = Tempo(clock)
    turns = asyncio.Queue[None]()

    async def behind() -> dict[Lane, int]:
        return {Lane.BULK: 7}

    async def sleep(_: float) -> None:
        shown.append(tuple(sample(f"upscale_lag_{unit}", lane="bulk") for unit in ("messages", "megapixels")))
        await turns.get()

    shown: list[tuple[float, ...]] = []
    watching = asyncio.create_task(watch(behind, tempo, sleep))
    await asyncio.sleep(0)
    with tempo.working():
        clock.time = 2.0
    tempo.did(Lane.BULK, 3.0)
    turns.put_nowait(None)
    for _ in range(3):
        await asyncio.sleep(0)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert shown == [(7, 0), (7, 21)]
    assert sample("upscale_lag_seconds", lane="bulk") == pytest.approx(14.0, rel=0.05)
