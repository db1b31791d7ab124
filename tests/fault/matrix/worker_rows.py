"""Workers die, stop, freeze, come and go."""

import asyncio
import signal
from functools import partial

from tests.fault.matrix.row import Row
from tests.support.crash_points import Crash, CrashPoint
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import BLOCKED_SECONDS
from tests.support.fault_scene import Scene
from tests.support.fault_site import PACE
from tests.support.nurslings import Nursling
from tests.support.processes import freeze, thaw

RATE = 6.0
"""Requests a second: two workers can do it, three have time to spare."""
REDELIVERY_SECONDS = 20.0
"""A session of 6 s, a rebalance and a job, on a busy machine."""
AT_ONCE_SECONDS = 10.0
FREEZE_SECONDS = 60.0 / PACE
BLOCK_SECONDS = BLOCKED_SECONDS + 1
LONG = LatencyLaw(setup_seconds=5.0)
SHORT_POLL_MS = 2000
"""Less than half of what a launch of `LONG` takes."""


async def killed_at(point: CrashPoint, times: int, scene: Scene) -> None:
    """One of three workers; another takes its place, as under any supervisor."""
    victim, *_ = await asyncio.gather(crashing(scene, Crash(point, times)), scene.start(2))
    async with scene.load(RATE):
        with scene.run.fault("kill", recovery_seconds=REDELIVERY_SECONDS, killed=victim.pid):
            await victim.ended()
        await scene.start()
        await scene.run.more_ends(30)


async def crashing(scene: Scene, crash: Crash) -> Nursling:
    return (await scene.start(crash=crash))[0]


async def stop(scene: Scene, worker: Nursling) -> None:
    """SIGTERM, to which it answers with 0 in time."""
    worker.signal(signal.SIGTERM)
    status = await worker.ended()
    assert status == 0, f"worker ended with {status}"


async def asked_to_stop(scene: Scene) -> None:
    workers = await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(20)
        with scene.run.fault("SIGTERM", recovery_seconds=AT_ONCE_SECONDS):
            await stop(scene, scene.chance.choice(workers))
        await scene.run.more_ends(20)


async def asked_to_stop_in_a_long_job(scene: Scene) -> None:
    kafka = scene.settings.kafka.model_copy(update={"max_poll_interval_ms": SHORT_POLL_MS})
    settings = scene.settings.model_copy(update={"kafka": kafka})
    first, _ = await scene.start(2, settings, law=LONG)
    await scene.burst(12)
    await scene.run.more_ends(2)
    await scene.burst(12)
    await scene.run.at_work(first.pid)
    with scene.run.fault("SIGTERM", recovery_seconds=REDELIVERY_SECONDS):
        await stop(scene, first)
    await scene.run.left(0)


async def long_jobs(scene: Scene) -> None:
    kafka = scene.settings.kafka.model_copy(update={"max_poll_interval_ms": SHORT_POLL_MS})
    settings = scene.settings.model_copy(update={"kafka": kafka})
    await scene.start(2, settings, law=LONG)
    with scene.run.fault("jobs longer than the poll interval", recovery_seconds=REDELIVERY_SECONDS):
        await scene.burst(8)
    await scene.run.left(0)


async def frozen(scene: Scene) -> None:
    victim, *_ = await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(20)
        with scene.run.fault("SIGSTOP", recovery_seconds=AT_ONCE_SECONDS):
            await freeze(victim.pid)
            await asyncio.sleep(FREEZE_SECONDS)
            thaw(victim.pid)
        await scene.run.more_ends(30)


async def blocked(scene: Scene) -> None:
    victim, *_ = await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(20)
        with scene.run.fault("event loop blocked", recovery_seconds=AT_ONCE_SECONDS):
            victim.signal(signal.SIGUSR1)
            await asyncio.sleep(BLOCK_SECONDS)
        await scene.run.more_ends(30)


async def rolling_restart(scene: Scene) -> None:
    workers = await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(20)
        with scene.run.fault("rolling restart", recovery_seconds=AT_ONCE_SECONDS):
            for worker in workers:
                await scene.start()
                await stop(scene, worker)
        await scene.run.more_ends(30)


async def storm(scene: Scene) -> None:
    await scene.start(2)
    async with scene.load(RATE):
        await scene.run.more_ends(10)
        with scene.run.fault("10 rebalances", recovery_seconds=REDELIVERY_SECONDS):
            for _ in range(5):
                (passing,) = await scene.start()
                await scene.run.more_ends(5)
                await stop(scene, passing)
        await scene.run.more_ends(30)


def _kill(number: str, name: str, point: CrashPoint, times: int) -> Row:
    return Row(number, f"kill -9 {name}", partial(killed_at, point, times), waste=0.25)


ROWS: tuple[Row, ...] = (
    _kill("1", "in the middle of a launch", CrashPoint.LAUNCH, 6),
    _kill("2", "between the result and the end of a job", CrashPoint.STORED, 12),
    _kill("3", "between the end of a job and its event", CrashPoint.ENDED, 12),
    _kill("4", "between the event and the commit", CrashPoint.ACKNOWLEDGED, 12),
    Row("5", "SIGTERM under load", asked_to_stop, waste=0.0, executions=1),
    Row(
        "5b",
        "SIGTERM in jobs longer than the poll interval",
        asked_to_stop_in_a_long_job,
        waste=0.0,
        executions=1,
        repeated_events=0,
    ),
    Row("6", "SIGSTOP for 12 s, then SIGCONT", frozen, waste=0.25),
    Row("7", "rolling restart of all workers", rolling_restart, waste=0.02),
    Row("8", "10 rebalances", storm, waste=0.10),
    Row("9", "event loop blocked for 8 s", blocked, waste=0.25),
    Row("34", "jobs longer than the poll interval", long_jobs, waste=0.0, executions=1, repeated_events=0),
)
