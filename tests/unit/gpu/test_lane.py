"""The one thread that owns the device."""

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from prometheus_client import REGISTRY

from pipeline.batching.work import BatchKey
from pipeline.errors import JobFailed
from pipeline.gpu import lane as lane_module
from pipeline.gpu import selftest
from pipeline.gpu.infer import infer
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import LoadedModel
from pipeline.gpu.networks.upscalers import Network
from schemas.failures import FailureCode
from tests.support.clock import FakeClock
from tests.support.images import nearest
from tests.support.networks import (
    NAME,
    batch_of,
    constant,
    cpu_profile,
    flat_tile,
    raising,
    repeating,
    tiny_load,
    tiny_model,
)


class Gate:
    """A network that computes only when told to, and counts how often it was asked."""

    def __init__(self, then: Network = repeating) -> None:
        self.then = then
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.launches = 0

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.launches += 1
        self.entered.set()
        assert self.opened.wait(timeout=30)
        return self.then(pixels)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 30)


def lane_with(network: Network) -> DeviceLane:
    return DeviceLane(cpu_profile(), tiny_load(network))


async def outcomes(*calls: "asyncio.Task[object]") -> list[FailureCode]:
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [answer.code for answer in answers if isinstance(answer, JobFailed)]


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"model": NAME}) or 0.0


async def test_lane_upscales_a_batch_in_order() -> None:
    """The tiles come back in the order in which they were given."""
    tiles = [flat_tile(value) for value in (1, 2, 3)]

    async with lane_with(repeating) as lane:
        results = await lane.run(batch_of(*tiles))

    assert all(np.array_equal(result, nearest(tile, 4)) for result, tile in zip(results, tiles, strict=True))


async def test_lane_computes_in_one_thread_and_not_in_the_loops() -> None:
    """The event loop never computes, and no two launches meet on the device."""
    threads: set[int] = set()

    def noting(pixels: torch.Tensor) -> torch.Tensor:
        threads.add(threading.get_ident())
        assert torch.is_inference_mode_enabled()
        return repeating(pixels)

    async with lane_with(noting) as lane:
        await asyncio.gather(*(lane.run(batch_of(flat_tile(value))) for value in range(8)))

    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_lane_loads_a_model_once_and_when_first_needed() -> None:
    """Starting a worker loads nothing; the first job of a model does, and the next ones find it there."""
    loaded: list[str] = []

    def load(name: str) -> LoadedModel:
        loaded.append(name)
        return tiny_model()

    async with DeviceLane(cpu_profile(), load) as lane:
        assert loaded == []
        await lane.run(batch_of(flat_tile(1)))
        await lane.run(batch_of(flat_tile(2)))
        assert (await lane.prepare(NAME)).weights_sha256 == "0" * 64

    assert loaded == [NAME]


async def test_lane_counts_its_launches() -> None:
    """Tiles, jobs and launches are seen by the operator, under the model's name."""
    names = (
        "upscale_tiles_total",
        "upscale_batch_size_sum",
        "upscale_batch_jobs_sum",
        "upscale_batch_duration_seconds_count",
    )
    before = [sample(name) for name in names]

    async with lane_with(repeating) as lane:
        await lane.run(batch_of(flat_tile(1), flat_tile(2), flat_tile(3), jobs=2))

    assert [sample(name) - old for name, old in zip(names, before, strict=True)] == [3, 3, 2, 1]


async def test_lane_halves_a_batch_that_does_not_fit() -> None:
    """Out of memory is answered with smaller launches, and the lane lives on; later ones begin as small."""

    def small(pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[0] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return repeating(pixels)

    async with lane_with(small) as lane:
        results = await lane.run(batch_of(flat_tile(1), flat_tile(2)))
        assert not lane.failed.is_set()
        assert lane.batch_limit(BatchKey(NAME, 8, 8)) == 1
        assert lane.batch_limit(BatchKey(NAME, 8, 16)) == 4

    assert [int(result[0, 0, 0]) for result in results] == [1, 2]


async def test_lane_launches_a_network_by_the_precision_that_it_runs_in() -> None:
    """Which is known once it was loaded: float32 takes twice the memory of the card's own 16 bits."""
    profile = replace(cpu_profile(), device="cuda", precision="fp16")

    def load(_: str) -> LoadedModel:
        return replace(tiny_model(), precision="fp32")

    key = BatchKey(NAME, 32, 32)
    async with DeviceLane(profile, load) as lane:
        assert lane.batch_limit(key) == 4
        await lane.prepare(NAME)
        assert lane.batch_limit(key) == 2


async def test_lane_looks_for_faces_again_before_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is not searched in halves: all that helps is memory that others have left."""
    answers = iter([torch.OutOfMemoryError("CUDA out of memory."), None])

    def find(*_: object) -> tuple[()]:
        if error := next(answers):
            raise error
        return ()

    monkeypatch.setattr(lane_module, "find_faces", find)
    async with lane_with(repeating) as lane:
        assert await lane.find_faces(NAME, flat_tile(1)) == ()


async def test_lane_fails_only_the_job_whose_model_cannot_be_loaded() -> None:
    """Missing weights are that job's failure; the device is as good as before."""
    refusal = JobFailed(FailureCode.MODEL_NOT_AVAILABLE, "model: not here")

    def load(name: str) -> LoadedModel:
        if name != NAME:
            raise refusal
        return tiny_model()

    async with DeviceLane(cpu_profile(), load) as lane:
        with pytest.raises(JobFailed) as caught:
            await lane.prepare("other")
        assert len(await lane.run(batch_of(flat_tile(1)))) == 1
        assert not lane.failed.is_set()

    assert caught.value is refusal


@pytest.mark.fault
async def test_lane_crash_fails_every_waiter() -> None:
    """A device error fails the launch under way, all that wait behind it and all that come later, and says so."""
    gate = Gate(then=raising(torch.AcceleratorError("CUDA error: an illegal memory access was encountered")))

    async with lane_with(gate) as lane:
        calls = [asyncio.create_task(lane.run(batch_of(flat_tile(value)))) for value in range(4)]
        await gate.reached()
        gate.opened.set()

        assert await outcomes(*calls) == [FailureCode.DEVICE_FAILED] * 4
        await asyncio.wait_for(lane.failed.wait(), timeout=30)
        with pytest.raises(JobFailed, match=r"^the device stopped working$"):
            await lane.run(batch_of(flat_tile(9)))

    assert gate.launches == 1


@pytest.mark.fault
async def test_lane_lives_on_after_a_network_that_fails_on_a_sound_device() -> None:
    """A network that cannot compute a picture fails the jobs of its launch, and costs nobody else a worker."""
    networks = {NAME: repeating, "other": raising(IndexError("index 3 is out of range"))}

    async with DeviceLane(cpu_profile(), lambda key: tiny_model(networks[key])) as lane:
        with pytest.raises(JobFailed, match="the network could not compute") as caught:
            await lane.run(replace(batch_of(flat_tile(1)), key=BatchKey("other", 8, 8)))
        assert len(await lane.run(batch_of(flat_tile(1)))) == 1
        assert not lane.closed

    assert caught.value.code is FailureCode.INTERNAL


@pytest.mark.fault
@pytest.mark.parametrize("sums", [lambda *_: torch.zeros(1), raising(RuntimeError("cuDNN error"))])
async def test_lane_does_not_blame_the_network_on_a_device_that_computes_no_more(
    sums: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the launch died of: a device that gives a wrong sum or none makes no more pictures."""
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_: sums(torch.zeros(1)))
    async with lane_with(raising(IndexError("index 3 is out of range"))) as lane:
        with pytest.raises(JobFailed) as caught:
            await lane.run(batch_of(flat_tile(1)))
        assert lane.closed

    assert caught.value.code is FailureCode.DEVICE_FAILED


@pytest.mark.fault
async def test_lane_answers_every_waiter_when_it_closes() -> None:
    """The launch under way ends with its result; those behind it are told, and nothing more is computed."""
    gate = Gate()
    lane = lane_with(gate)
    async with asyncio.timeout(30):
        async with lane:
            running = asyncio.create_task(lane.run(batch_of(flat_tile(1))))
            await gate.reached()
            waiting = [asyncio.create_task(lane.run(batch_of(flat_tile(value)))) for value in (2, 3)]
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(gate.opened.set)

        assert len(await running) == 1
        assert await outcomes(*waiting) == [FailureCode.DEVICE_FAILED] * 2
        with pytest.raises(JobFailed, match="shutting down"):
            await lane.run(batch_of(flat_tile(4)))

    assert gate.launches == 1


@pytest.mark.fault
async def test_lane_tells_of_a_launch_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU; a CPU is slow, and ends. Leaving the lane does not wait for it for ever."""
    clock, gate = FakeClock(), Gate()
    monkeypatch.setattr(lane_module, "infer", lambda model, tiles, _: infer(model, tiles, "cpu"))
    profiles = (replace(cpu_profile(), device="cuda"), cpu_profile())
    lanes = [DeviceLane(profile, tiny_load(gate), now=clock, closing_seconds=0) for profile in profiles]
    for lane in lanes:
        async with lane:
            assert lane.stuck() is None
            gate.entered.clear()
            launch = asyncio.create_task(lane.run(batch_of(flat_tile(1))))
            await gate.reached()
            clock.advance(300)
            assert lane.stuck() is None
            clock.advance(1)
            assert lane.stuck() == (None if lane.profile.device == "cpu" else "a launch has not ended for 301 seconds")
        assert lane.hung
        gate.opened.set()
        assert len(await launch) == 1
        gate.opened.clear()
        assert lane.stuck() is None


async def test_lane_does_no_work_for_a_waiter_who_has_left() -> None:
    """A cancelled call that has not started is never launched."""
    gate = Gate()

    async with lane_with(gate) as lane:
        running = asyncio.create_task(lane.run(batch_of(flat_tile(1))))
        await gate.reached()
        leaving = asyncio.create_task(lane.run(batch_of(flat_tile(2))))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        gate.opened.set()
        await running

    assert gate.launches == 1


async def test_lane_keeps_as_many_models_as_its_memory_holds() -> None:
    """A variant is loaded once while there is room, and again after it left; facts are looked up without a launch."""
    loaded: list[str] = []

    def load(key: str) -> LoadedModel:
        loaded.append(key)
        return replace(tiny_model(), bytes=10)

    async with DeviceLane(replace(cpu_profile(), model_bytes=20), load) as lane:
        for key in ("a", "a@denoise=0.30", "a", "b", "a@denoise=0.30"):
            facts = await lane.prepare(key)
            assert lane.still(key, facts)
        assert await lane.run(replace(batch_of(flat_tile(1)), key=BatchKey("b", 8, 8)))

    assert loaded == ["a", "a@denoise=0.30", "b", "a@denoise=0.30"]


async def test_lane_does_not_test_a_model_without_a_known_answer() -> None:
    """It is said, and the device is not blamed for it."""
    async with lane_with(repeating) as lane:
        with pytest.raises(ValueError, match="no answer is known"):
            await lane.self_test("imported")
        assert not lane.failed.is_set()


@pytest.mark.fault
async def test_lane_counts_a_wrong_answer_as_a_dead_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that computes the wrong thing makes no more pictures."""
    monkeypatch.setitem(selftest.EXPECTED, NAME, selftest.samples(nearest(selftest.known_tile(), 4)))

    async with lane_with(repeating) as sound:
        await sound.self_test(NAME)
        assert not sound.failed.is_set()
    async with lane_with(constant(0.0)) as broken:
        with pytest.raises(JobFailed) as caught:
            await broken.self_test(NAME)
        await asyncio.wait_for(broken.failed.wait(), timeout=30)

    assert caught.value.code is FailureCode.DEVICE_FAILED
