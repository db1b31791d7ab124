"""The machine a worker runs on: its disk, its device, its clock, its memory; and everything at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from pipeline.lifecycle import Exit
from pipeline.storage.transfer import upload
from tests.fault.matrix.broker_rows import back
from tests.fault.matrix.row import Row
from tests.fault.matrix.worker_rows import stop
from tests.support.device_faults import DeviceFault, DeviceTrouble
from tests.support.fault_run import picture
from tests.support.fault_scene import Scene, Source
from tests.support.nurslings import Nursling
from tests.support.processes import freeze, thaw
from tests.support.s3_faults import HEALTHY, StoreBehaviour, StoreFault

RATE = 6.0
RECOVERY_SECONDS = 30.0
FULL = Path("/dev/full")
OFF_SECONDS = 600.0
"""A store refuses whoever is off by more than 15 minutes: such a worker says so and does not start."""
LARGE_SIDE = 300
MEMORY_BYTES = 400 * 2**20
BUDGET_PIXELS = 2 * LARGE_SIDE**2
STORM_SECONDS = 45.0


async def disk_full(scene: Scene) -> None:
    """Nothing that is logged can be written."""
    await asyncio.gather(scene.start(2, log=FULL), scene.start(1))
    async with scene.load(RATE):
        with scene.run.fault("no room for logs", recovery_seconds=RECOVERY_SECONDS):
            await scene.run.more_ends(20)
        await scene.run.more_ends(20)


async def out_of_memory(scene: Scene) -> None:
    """A device has room for two tiles at a time and no more."""
    await scene.start(2, device=DeviceFault(DeviceTrouble.OUT_OF_MEMORY, 2))
    with scene.run.fault("out of device memory", recovery_seconds=RECOVERY_SECONDS):
        await scene.burst(60)
    await scene.run.left(0)


async def device_lost(scene: Scene) -> None:
    """Its worker ends, and others do what it had."""
    victim, *_ = await scene.start(1, device=DeviceFault(DeviceTrouble.LOST, 8))
    await scene.start(2)
    async with scene.load(RATE):
        with scene.run.fault("device lost", recovery_seconds=RECOVERY_SECONDS, killed=victim.pid):
            status = await victim.ended()
        await scene.start()
        await scene.run.more_ends(30)
    assert status == Exit.INTERNAL, f"the worker ended with {status}"


async def clocks_differ(scene: Scene) -> None:
    """One worker lives ten minutes ahead and one behind; a third, right one, is killed."""
    victim, *_ = await scene.start(1)
    await asyncio.gather(scene.start(1, clock_seconds=OFF_SECONDS), scene.start(1, clock_seconds=-OFF_SECONDS))
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("clocks differ", recovery_seconds=RECOVERY_SECONDS, killed=victim.pid):
            await victim.kill()
        await scene.start()
        await scene.run.more_ends(30)


async def little_memory(scene: Scene) -> None:
    """Far more pictures are asked for than fit into memory at once."""
    settings = scene.settings.model_copy(
        update={
            "image": scene.settings.image.model_copy(update={"max_pixels": BUDGET_PIXELS // 2}),
            "intake": scene.settings.intake.model_copy(update={"max_pixels": BUDGET_PIXELS, "max_bytes": 128 * 2**20}),
        }
    )
    await scene.start(2, settings, memory_bytes=MEMORY_BYTES)
    content, expected = await asyncio.to_thread(picture, 3, LARGE_SIDE)
    large = Source("acme", await upload(scene.run.session.store, "acme", content), expected)
    with scene.run.fault("little memory", recovery_seconds=RECOVERY_SECONDS):
        await asyncio.gather(*(scene.ask(large) for _ in range(16)))
    await scene.run.left(0)


async def everything(scene: Scene) -> None:
    """Whatever may break, drawn by chance, one thing after the other."""
    await scene.start(3)
    faults: tuple[Callable[[Scene], Awaitable[None]], ...] = (
        _killed,
        _stopped,
        _frozen,
        _broker_gone,
        _broker_hung,
        _bad_store,
    )
    async with scene.load(RATE):
        with scene.run.fault("everything", recovery_seconds=RECOVERY_SECONDS), suppress(TimeoutError):
            async with asyncio.timeout(STORM_SECONDS):
                while True:
                    await scene.chance.choice(faults)(scene)
                    await scene.start(3 - sum(worker.running for worker in scene.workers))
        await scene.site.heal()
        await scene.start(max(0, 3 - sum(worker.running for worker in scene.workers)))
        await scene.run.more_ends(30)


async def _killed(scene: Scene) -> None:
    await _any_worker(scene).kill()


async def _stopped(scene: Scene) -> None:
    await stop(scene, _any_worker(scene))


async def _frozen(scene: Scene) -> None:
    victim = _any_worker(scene)
    await freeze(victim.pid)
    try:
        await asyncio.sleep(scene.chance.uniform(1, 10))
    finally:
        thaw(victim.pid)


async def _broker_gone(scene: Scene) -> None:
    broker = scene.chance.choice(scene.site.cluster.brokers)
    await broker.kill()
    try:
        await asyncio.sleep(scene.chance.uniform(1, 5))
    finally:
        await back(broker)


async def _broker_hung(scene: Scene) -> None:
    broker = scene.chance.choice(scene.site.cluster.brokers)
    await broker.freeze()
    try:
        await asyncio.sleep(scene.chance.uniform(1, 5))
    finally:
        broker.thaw()


async def _bad_store(scene: Scene) -> None:
    fault = scene.chance.choice([StoreFault.SLOW_DOWN, StoreFault.LOSE_ANSWER])
    scene.site.store_line.switch(StoreBehaviour({fault: 0.5}))
    await asyncio.sleep(scene.chance.uniform(1, 5))
    scene.site.store_line.switch(HEALTHY)


def _any_worker(scene: Scene) -> Nursling:
    return scene.chance.choice([worker for worker in scene.workers if worker.running])


ROWS: tuple[Row, ...] = (
    Row("25", "no room on the disk for logs", disk_full, waste=0.0, executions=1),
    Row("26a", "the device has memory for two tiles", out_of_memory, waste=0.0, executions=1),
    Row("26b", "the device of one worker dies", device_lost, waste=0.25),
    Row("27", "clocks 10 min ahead and behind, and a worker killed", clocks_differ, waste=0.25),
    Row("28", "memory for a few pictures, and many asked for", little_memory, waste=0.0, executions=1),
    Row("33", "everything, by chance, for 45 s", everything, executions=4),
)
