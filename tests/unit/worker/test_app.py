"""Guarantees of pipeline.worker.app: how a worker ends, and which code it ends with."""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, cast

import pytest
import torch
from structlog.testing import capture_logs

from pipeline.embedded.process import free_port
from pipeline.errors import JobFailed, ServiceUnreachable, ShuttingDown
from pipeline.gpu.lane import DeviceLane
from pipeline.lifecycle import Exit, Lifecycle, State
from pipeline.settings import KafkaSettings, Settings, TelemetrySettings
from pipeline.worker import app, open_rooms
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from pipeline.worker.serve import serve
from schemas.events import UpscaleCompleted
from schemas.failures import FailureCode
from tests.support.clock import run_virtual
from tests.support.loop_scene import DONE, Scene, received
from tests.support.networks import constant, cpu_profile, raising, tiny_load
from tests.support.rooms import ScriptedLane

DRAIN_SECONDS = 90.0


class Play:
    """A worker that is ready, holds one job which takes ten seconds, and has more jobs before it."""

    def __init__(self) -> None:
        self.scene = Scene(received(1), received(2))
        self.scene.stays_open = True
        self.scene.doing = self.work
        self.lane = ScriptedLane()
        self.life = Lifecycle()
        self.ended_after = 0.0

    async def work(self, job: Job) -> Done:
        """As `steps.do` does, fail without blame when the device dies."""
        try:
            async with asyncio.timeout(10.0):
                await self.lane.failed.wait()
        except TimeoutError:
            return DONE
        raise ShuttingDown("the device stopped working")

    async def run(self, *events: tuple[float, Callable[[], None]]) -> Exit:
        """Serve while each of `events` happens at its second, which lies before the end."""
        loop = asyncio.get_running_loop()
        for second, event in events:
            loop.call_later(second, event)
        code = await serve(
            self.scene.worker(jobs_per_topic=1),
            cast("DeviceLane", self.lane),
            self.life,
            drain_seconds=DRAIN_SECONDS,
        )
        self.ended_after = loop.time()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return code


def test_worker_is_ready_while_it_works_and_ends_clean_when_asked_to() -> None:
    """What it holds is finished, told and let go of; what it does not hold is left alone; nothing keeps running."""
    play = Play()
    states: list[State] = []
    events = [(1.0, lambda: states.append(play.life.state)), (2.0, play.life.signal)]
    assert run_virtual(play.run(*events)) is Exit.CLEAN
    assert states == [State.READY]
    assert play.ended_after == 10.0
    assert (play.scene.finished, len(play.scene.said(UpscaleCompleted))) == ([1], 1)


def test_worker_gives_up_at_the_drain_limit_and_says_so() -> None:
    """What is not finished by then stays uncommitted, and the code tells that something was left."""
    play = Play()

    async def stuck(job: Job) -> Done:
        await asyncio.Event().wait()
        return DONE

    play.scene.doing = stuck
    assert run_virtual(play.run((2.0, play.life.signal))) is Exit.DRAIN_INCOMPLETE
    assert play.ended_after == 2.0 + DRAIN_SECONDS
    assert play.scene.finished == []


def test_second_signal_gives_up_at_once() -> None:
    """Whoever asks twice does not wait for the jobs."""
    play = Play()
    code = run_virtual(play.run((2.0, play.life.signal), (3.0, play.life.signal)))
    assert (code, play.ended_after) == (Exit.DRAIN_INCOMPLETE, 3.0)


def test_dead_device_ends_the_worker_with_its_own_code() -> None:
    """Nothing revives it: liveness says why, what was held is done elsewhere, and a supervisor starts a new process."""
    play = Play()
    assert run_virtual(play.run((2.0, play.lane.die))) is Exit.INTERNAL
    assert play.life.failed() == "the device stopped working"
    assert play.ended_after == 2.0
    assert play.scene.finished == []


def test_device_that_dies_while_draining_is_not_called_clean() -> None:
    """The jobs in hand were given up, so something was left undone."""
    play = Play()
    assert run_virtual(play.run((2.0, play.life.signal), (3.0, play.lane.die))) is Exit.INTERNAL
    assert play.scene.finished == []


def test_worker_whose_broker_stayed_away_asks_to_be_started_anew() -> None:
    """It could start, so this is not a wrong setting: a supervisor that heeds the code starts it again."""
    play = Play()
    play.scene = Scene()
    play.scene.ends_with = ServiceUnreachable("broker", "127.0.0.1:9092", "UPSCALE_KAFKA__SERVERS", "gone")
    with capture_logs() as logs:
        assert run_virtual(play.run()) is Exit.INTERNAL
    assert "cannot reach the broker at 127.0.0.1:9092" in logs[-1]["reason"]


def test_crash_of_the_worker_is_logged_and_told_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """An uncaught exception would end with 1, which means that starting again does not help."""

    async def crash(*_: object) -> Exit:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "_run", crash)
    assert app.main(argparse.Namespace(), Settings()) == Exit.INTERNAL


def test_worker_without_a_broker_says_which_address_and_which_setting() -> None:
    """One line for the operator, at once, before any weights are loaded."""
    kafka = KafkaSettings(servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(ServiceUnreachable, match="set UPSCALE_KAFKA__SERVERS"):
        app.main(argparse.Namespace(), Settings(kafka=kafka, telemetry=TelemetrySettings(port=0)))


async def test_worker_does_not_start_on_a_device_that_computes_the_wrong_thing() -> None:
    """A wrong picture is worse than none: it joins no group, and the code is that of a dead device."""
    async with DeviceLane(cpu_profile(), tiny_load(constant(0.0))) as lane:
        assert await open_rooms.tested(lane) is False


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), IndexError()], ids=type)
async def test_worker_whose_device_is_full_at_the_start_may_be_started_again(error: Exception) -> None:
    """Another program has the memory for now; 1 would tell the operator not to try again."""
    async with DeviceLane(cpu_profile(), raising(error)) as lane:
        assert await open_rooms.tested(lane) is False
        assert not lane.closed


@pytest.mark.parametrize(
    ("device", "processors", "threads"), [("cpu", 16, 2), ("cuda", 16, 8), ("mps", 8, 4), ("cuda", 1, 2)]
)
def test_worker_beside_a_gpu_encodes_on_half_of_the_processors(
    device: Literal["cpu", "cuda", "mps"], processors: int, threads: int
) -> None:
    """On a CPU they are the device itself."""
    assert open_rooms.pixel_threads(replace(cpu_profile(), device=device), processors) == threads


HANGING = """
import asyncio, threading
from pipeline.gpu.lane import DeviceLane
from pipeline.worker.open_rooms import leave_hung
from tests.support.networks import batch_of, cpu_profile, flat_tile, tiny_load

entered = threading.Event()

def never(pixels):
    entered.set()
    threading.Event().wait()

async def main():
    async with DeviceLane(cpu_profile(), tiny_load(never), closing_seconds=0) as lane:
        asyncio.create_task(lane.run(batch_of(flat_tile(1))))
        await asyncio.to_thread(entered.wait)
    leave_hung(lane)

asyncio.run(main())
"""


@pytest.mark.fault
def test_worker_with_a_launch_that_never_ends_can_be_stopped() -> None:
    """Nothing can end the thread; Python would wait for it until somebody kills the process."""
    ended = subprocess.run([sys.executable, "-c", HANGING], check=False, capture_output=True, timeout=120)

    assert ended.returncode == Exit.INTERNAL


async def test_worker_without_weights_says_what_is_missing() -> None:
    """That is for an operator to put right; the device is well."""

    def load(name: str) -> None:
        raise JobFailed(FailureCode.MODEL_NOT_AVAILABLE, "model: not here")

    async with DeviceLane(cpu_profile(), load) as lane:  # type: ignore[arg-type]
        with pytest.raises(JobFailed, match="model: not here"):
            await open_rooms.tested(lane)
