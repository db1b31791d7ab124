"""The batcher between those who wait and the device. Runs in virtual time: a launch takes one second."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.batching.batch import Batcher
from pipeline.batching.work import BatchKey, TileBatch, TilePixels
from pipeline.errors import JobExpired, JobFailed, ShuttingDown
from pipeline.telemetry import metrics
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.clock import FakeClock, run_virtual
from tests.support.device import LARGE, SMALL, FakeDevice, make_work, mark


def four(_: BatchKey) -> int:
    return 4


def marks(tiles: Sequence[TilePixels]) -> list[tuple[int, int]]:
    return [mark(tile) for tile in tiles]


def whole(number: int, tiles: int) -> list[tuple[int, int]]:
    return [(number, index) for index in range(tiles)]


def started(coroutine: Coroutine[Any, Any, tuple[TilePixels, ...]]) -> asyncio.Task[tuple[TilePixels, ...]]:
    return asyncio.create_task(coroutine)


async def outcome(waiter: Awaitable[object]) -> BaseException:
    with pytest.raises((Exception, asyncio.CancelledError)) as caught:
        await waiter
    return caught.value


def in_batcher(
    device: FakeDevice, scene: Callable[[Batcher], Awaitable[None]], *, limit: int = 4, slots: int = 1
) -> None:
    """Play `scene` with an open batcher, in virtual time."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with Batcher(device.run, lambda _: limit, slots=slots, now=loop.time) as batcher:
            await scene(batcher)

    run_virtual(play())


def test_batcher_gives_the_tiles_back_in_order() -> None:
    """A work of more tiles than a launch takes comes back whole and in its own order."""

    async def scene(batcher: Batcher) -> None:
        upscaled = await batcher.submit(make_work(1, 9))
        assert marks(upscaled) == whole(1, 9)
        assert {tile.shape for tile in upscaled} == {(2, 4, 3)}

    in_batcher(FakeDevice(), scene)


def test_batcher_gives_each_waiter_its_own_tiles_when_a_launch_mixes_works() -> None:
    """Tiles of different pictures share a launch and find their way back."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        first, second = await asyncio.gather(*(batcher.submit(make_work(number, 2)) for number in (1, 2)))
        assert (marks(first), marks(second)) == (whole(1, 2), whole(2, 2))

    in_batcher(device, scene)
    assert [(len(launch.batch.tiles), launch.batch.jobs) for launch in device.launches] == [(4, 2)]


def test_batcher_launches_at_once_when_the_device_is_free() -> None:
    """One tile is enough: nothing is held back to fill a launch."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        await asyncio.sleep(5)
        await batcher.submit(make_work(1, 1))

    in_batcher(device, scene)
    assert [launch.at for launch in device.launches] == [5.0]


def test_batcher_gathers_while_the_device_is_busy() -> None:
    """What arrives during a launch goes together in the next."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        waiters = []
        for number in (1, 2, 3):
            waiters.append(started(batcher.submit(make_work(number, 1))))
            await asyncio.sleep(0.25)
        await asyncio.gather(*waiters)

    in_batcher(device, scene)
    assert device.marks == [[(1, 0)], [(2, 0), (3, 0)]]
    assert [launch.at for launch in device.launches] == [0.0, 1.0]


def test_batcher_keeps_as_many_launches_in_flight_as_it_has_slots() -> None:
    """With two slots the next batch is handed over while the first runs; a third waits."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        await batcher.submit(make_work(1, 12))

    in_batcher(device, scene, slots=2)
    assert [launch.at for launch in device.launches] == [0.0, 0.0, 1.0]


def test_batcher_counts_a_limit_below_one_as_one() -> None:
    """A device that allows nothing would leave everyone waiting for ever."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        await batcher.submit(make_work(1, 2))

    in_batcher(device, scene, limit=0)
    assert device.marks == [[(1, 0)], [(1, 1)]]


def test_batcher_reports_progress_after_each_launch() -> None:
    """Progress counts the tiles that are done, up to all of them, before the answer."""
    seen: list[tuple[int, int]] = []

    async def scene(batcher: Batcher) -> None:
        await batcher.submit(make_work(1, 9), lambda done, total: seen.append((done, total)))

    in_batcher(FakeDevice(), scene)
    assert seen == [(4, 9), (8, 9), (9, 9)]


def test_batcher_fails_only_the_work_whose_progress_callback_raises() -> None:
    """The caller gets its own exception; the neighbour in the launch gets its tiles."""

    def refuse(done: int, total: int) -> None:
        raise LookupError(f"{done} of {total}")

    async def scene(batcher: Batcher) -> None:
        bad = started(batcher.submit(make_work(1, 1), refuse))
        assert marks(await batcher.submit(make_work(2, 1))) == whole(2, 1)
        assert isinstance(await outcome(bad), LookupError)

    in_batcher(FakeDevice(), scene)


def test_batcher_answers_a_work_without_tiles_at_once() -> None:
    """Nothing in, nothing out; the device is not asked."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        assert await batcher.submit(make_work(1, 0)) == ()

    in_batcher(device, scene)
    assert device.launches == []


def test_batcher_refuses_a_tile_that_is_not_of_the_keys_size() -> None:
    """The submitter is told which tile; nobody else's launch fails for it."""

    async def scene(batcher: Batcher) -> None:
        work = make_work(1, 2)
        odd = type(work)(work.key, (work.tiles[0], np.zeros((3, 3, 3), np.uint8)), work.lane, work.tenant)
        with pytest.raises(ValueError, match=r"tiles\[1\]: shape must be \(1, 2, 3\), got \(3, 3, 3\)"):
            await batcher.submit(odd)

    in_batcher(FakeDevice(), scene)


def test_batcher_refuses_to_have_no_slots() -> None:
    """Without a slot nothing would ever be launched."""
    with pytest.raises(ValueError, match="slots: must be at least 1, got 0"):
        Batcher(FakeDevice().run, four, slots=0)


def test_batcher_fails_every_work_of_a_failed_launch_and_no_other() -> None:
    """The works in the launch get the code and the text, each in an exception of its own; the queue goes on."""

    def refuse_small(_: int, batch: TileBatch) -> Sequence[TilePixels]:
        if batch.key == SMALL:
            raise JobFailed(FailureCode.DEVICE_OUT_OF_MEMORY, "no memory left", {"tiles": 2})
        return batch.tiles

    async def scene(batcher: Batcher) -> None:
        waiters = [started(batcher.submit(make_work(number, 1))) for number in (1, 2)]
        other = started(batcher.submit(make_work(3, 1, key=LARGE)))
        first, second = [await outcome(waiter) for waiter in waiters]
        assert isinstance(first, JobFailed)
        assert isinstance(second, JobFailed)
        assert first is not second
        assert first.details is not second.details
        for failure in (first, second):
            assert (failure.code, failure.message) == (FailureCode.DEVICE_OUT_OF_MEMORY, "no memory left")
            assert failure.details == {"tiles": 2}
        assert marks(await other) == whole(3, 1)

    in_batcher(FakeDevice(answer=refuse_small), scene)


def test_batcher_does_not_launch_what_is_left_of_a_failed_work() -> None:
    """A picture that cannot become whole costs the device nothing more."""

    def refuse_first(number: int, batch: TileBatch) -> Sequence[TilePixels]:
        if number == 0:
            raise JobFailed(FailureCode.DEVICE_FAILED, "broken")
        return batch.tiles

    device = FakeDevice(answer=refuse_first)

    async def scene(batcher: Batcher) -> None:
        failed = started(batcher.submit(make_work(1, 9)))
        await outcome(failed)
        await batcher.submit(make_work(2, 1))

    in_batcher(device, scene)
    assert device.marks == [whole(1, 4), [(2, 0)]]


def test_batcher_hides_a_foreign_error_behind_an_internal_failure() -> None:
    """A user reads neither a library's words nor an address; the log finds the cause."""

    def crash(_: int, __: TileBatch) -> Sequence[TilePixels]:
        raise RuntimeError("cuda:0 at /usr/lib")

    async def scene(batcher: Batcher) -> None:
        failure = await outcome(batcher.submit(make_work(1, 1)))
        assert isinstance(failure, JobFailed)
        assert (failure.code, failure.message) == (
            FailureCode.INTERNAL,
            "an internal error stopped the upscaling of this picture",
        )
        assert isinstance(failure.__cause__, RuntimeError)

    in_batcher(FakeDevice(answer=crash), scene)


@pytest.mark.parametrize("received", [0, 3, 5])
def test_batcher_fails_the_works_when_the_device_gives_back_another_number_of_tiles(received: int) -> None:
    """A picture is never put together from tiles that may be somebody else's."""
    device = FakeDevice(answer=lambda _, batch: [batch.tiles[0]] * received)

    async def scene(batcher: Batcher) -> None:
        waiters = [started(batcher.submit(make_work(number, 2))) for number in (1, 2)]
        for waiter in waiters:
            failure = await outcome(waiter)
            assert isinstance(failure, JobFailed)
            assert failure.code is FailureCode.INTERNAL
            assert failure.message == f"the device gave back {received} tiles for a launch of 4"

    in_batcher(device, scene)


def test_batcher_goes_on_when_a_limit_cannot_be_told() -> None:
    """Whoever waits is answered, and later works are served."""
    known = {LARGE: 4}

    async def play() -> None:
        async with Batcher(FakeDevice().run, known.__getitem__) as batcher:
            failure = await outcome(batcher.submit(make_work(1, 1)))
            assert isinstance(failure, JobFailed)
            assert failure.code is FailureCode.INTERNAL
            assert marks(await batcher.submit(make_work(2, 1, key=LARGE))) == whole(2, 1)

    run_virtual(play())


def test_batcher_never_launches_a_work_that_was_cancelled_while_it_waited() -> None:
    """A waiter that left takes its tiles along, even when it leaves in the very turn in which a launch is chosen."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        first = started(batcher.submit(make_work(1, 1)))
        await asyncio.sleep(0.5)
        left = started(batcher.submit(make_work(2, 1)))
        asyncio.get_running_loop().call_at(1.0, left.cancel)
        await first
        assert isinstance(await outcome(left), asyncio.CancelledError)
        await batcher.submit(make_work(3, 1))

    in_batcher(device, scene)
    assert device.marks == [[(1, 0)], [(3, 0)]]


def test_batcher_drops_tiles_of_a_work_that_was_cancelled_in_flight() -> None:
    """The launch goes on for the others in it."""

    async def scene(batcher: Batcher) -> None:
        left, stayed = [started(batcher.submit(make_work(number, 2))) for number in (1, 2)]
        await asyncio.sleep(0.5)
        left.cancel()
        assert marks(await stayed) == whole(2, 2)
        assert isinstance(await outcome(left), asyncio.CancelledError)

    in_batcher(FakeDevice(), scene)


def test_batcher_accepts_that_a_progress_callback_cancels_its_own_work() -> None:
    """A caller may leave from inside the report; the answer it would have had is dropped."""

    async def scene(batcher: Batcher) -> None:
        def leave(done: int, total: int) -> None:
            assert waiter.cancel()

        waiter = started(batcher.submit(make_work(1, 1), leave))
        assert isinstance(await outcome(waiter), asyncio.CancelledError)

    in_batcher(FakeDevice(), scene)


def test_batcher_expires_a_work_whose_deadline_passes_while_it_waits() -> None:
    """It is told so as soon as the device is free again, and never launched."""
    device = FakeDevice()

    async def scene(batcher: Batcher) -> None:
        first = started(batcher.submit(make_work(1, 4)))
        await asyncio.sleep(0)
        late = started(batcher.submit(make_work(2, 1, deadline=0.5)))
        await first
        assert isinstance(await outcome(late), JobExpired)

    in_batcher(device, scene)
    assert device.marks == [whole(1, 4)]


def test_batcher_expires_by_the_clock_it_was_given() -> None:
    """A deadline that is already over is answered without a launch."""
    device, clock = FakeDevice(), FakeClock(100.0)

    async def play() -> None:
        async with Batcher(device.run, four, now=clock) as batcher:
            assert marks(await batcher.submit(make_work(1, 1, deadline=100.1))) == whole(1, 1)
            clock.advance(0.1)
            assert isinstance(await outcome(batcher.submit(make_work(2, 1, deadline=100.1))), JobExpired)

    run_virtual(play())
    assert device.marks == [whole(1, 1)]


def test_batcher_gives_the_result_when_the_deadline_passes_during_the_last_launch() -> None:
    """The work was done; whether its result is still wanted is not the batcher's to say."""

    async def scene(batcher: Batcher) -> None:
        assert marks(await batcher.submit(make_work(1, 4, deadline=0.5))) == whole(1, 4)

    in_batcher(FakeDevice(), scene)


def test_batcher_takes_no_work_unless_open() -> None:
    """Before entering and after leaving, a submission is refused and not left waiting."""

    async def play() -> None:
        batcher = Batcher(FakeDevice().run, four)
        assert isinstance(await outcome(batcher.submit(make_work(1, 1))), ShuttingDown)
        async with batcher:
            await batcher.submit(make_work(1, 1))
        assert isinstance(await outcome(batcher.submit(make_work(1, 1))), ShuttingDown)

    run_virtual(play())


def test_closing_answers_everyone_who_waits() -> None:
    """Works in flight and works in the queue are given up with an error that is not the job's, each its own."""
    device = FakeDevice()

    async def play() -> None:
        async with Batcher(device.run, four) as batcher:
            waiters = [started(batcher.submit(make_work(number, 4))) for number in (1, 2)]
            await asyncio.sleep(0.5)
        failures = [await outcome(waiter) for waiter in waiters]
        assert [type(failure) for failure in failures] == [ShuttingDown, ShuttingDown]
        assert failures[0] is not failures[1]

    run_virtual(play())
    assert len(device.launches) == 1
    assert device.running == 0


def test_closing_leaves_an_error_of_the_body_as_it_is() -> None:
    """The batcher neither hides nor wraps what went wrong around it."""

    async def play() -> None:
        async with Batcher(FakeDevice().run, four):
            raise LookupError("outside")

    with pytest.raises(LookupError, match="outside"):
        run_virtual(play())


def test_batcher_survives_a_device_that_cancels_its_own_launch() -> None:
    """Its works are given up, not left waiting, and the next launch is served."""

    def stop_first(number: int, batch: TileBatch) -> Sequence[TilePixels]:
        if number == 0:
            raise asyncio.CancelledError
        return batch.tiles

    async def scene(batcher: Batcher) -> None:
        assert isinstance(await outcome(batcher.submit(make_work(1, 1))), ShuttingDown)
        assert marks(await batcher.submit(make_work(2, 1))) == whole(2, 1)

    in_batcher(FakeDevice(answer=stop_first), scene)


def test_batcher_shows_how_many_tiles_wait_for_the_device() -> None:
    """The gauge counts by class what was not launched, and returns to where it was however works end."""

    def waiting_tiles() -> list[float]:
        gauges = (metrics.QUEUED_TILES.labels(lane) for lane in (Lane.INTERACTIVE, Lane.BULK))
        return [gauge._value.get() for gauge in gauges]

    before = waiting_tiles()

    async def scene(batcher: Batcher) -> None:
        waiters = [
            started(batcher.submit(make_work(1, 7))),
            started(batcher.submit(make_work(2, 5, lane=Lane.BULK))),
        ]
        await asyncio.sleep(0.5)
        assert [now - then for now, then in zip(waiting_tiles(), before, strict=True)] == [3, 5]
        waiters[1].cancel()
        await asyncio.wait(waiters)

    in_batcher(FakeDevice(), scene)
    assert waiting_tiles() == before
