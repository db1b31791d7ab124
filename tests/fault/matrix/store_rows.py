"""The store is away, hangs, loses answers, is slow, or damages what it is given."""

import asyncio

from tests.fault.matrix.row import Row
from tests.support.fault_scene import Scene
from tests.support.fault_site import PACE
from tests.support.s3_faults import HEALTHY, StoreBehaviour, StoreFault

RATE = 6.0
RECOVERY_SECONDS = 30.0
AWAY = StoreBehaviour({StoreFault.SLOW_DOWN: 1.0})
AWAY_SECONDS = 20.0
HELD_SECONDS = 4.0
"""Less than the store's clients wait for an answer."""
FAULTY_SECONDS = 60.0 / PACE


async def broken(scene: Scene, behaviour: StoreBehaviour, seconds: float) -> None:
    await scene.start(2)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("store", recovery_seconds=RECOVERY_SECONDS):
            scene.site.store_line.switch(behaviour)
            await asyncio.sleep(seconds)
            scene.site.store_line.switch(HEALTHY)
        await scene.run.more_ends(30)


def results(scene: Scene, **chances: float) -> StoreBehaviour:
    """Only writing results is hit."""
    drawn = {StoreFault[name.upper()]: chance for name, chance in chances.items()}
    return StoreBehaviour(drawn, frozenset({"PUT"}), f"/{scene.settings.store.bucket}/results/")


def writes(scene: Scene, **chances: float) -> StoreBehaviour:
    """Results, and what is known of jobs."""
    drawn = {StoreFault[name.upper()]: chance for name, chance in chances.items()}
    return StoreBehaviour(drawn, frozenset({"PUT"}), f"/{scene.settings.store.bucket}/")


async def away(scene: Scene) -> None:
    await broken(scene, AWAY, AWAY_SECONDS)


async def away_and_rebalanced(scene: Scene) -> None:
    """A worker leaves while intake is paused, and more is asked than anybody has places for."""
    leaving, *_ = await scene.start(3)
    async with scene.load(RATE * 4):
        await scene.run.more_ends(15)
        with scene.run.fault("store away, and a rebalance", recovery_seconds=RECOVERY_SECONDS):
            scene.site.store_line.switch(AWAY)
            await asyncio.sleep(AWAY_SECONDS / 4)
            await leaving.kill()
            await asyncio.sleep(AWAY_SECONDS * 3 / 4)
            scene.site.store_line.switch(HEALTHY)
    await scene.run.more_ends(30)


async def hangs(scene: Scene) -> None:
    await broken(scene, results(scene, hang=1.0), FAULTY_SECONDS)


async def loses_answers(scene: Scene) -> None:
    await broken(scene, writes(scene, lose_answer=0.3), FAULTY_SECONDS)


async def holds_answers(scene: Scene) -> None:
    """Jobs end out of order, and a worker is killed that has finished later ones and not the earlier."""
    victim, _ = await scene.start(2)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("late answers, and a kill", recovery_seconds=RECOVERY_SECONDS, killed=victim.pid):
            scene.site.store_line.switch(results(scene, hold_answer=0.3))
            await asyncio.sleep(HELD_SECONDS)
            await victim.kill()
            scene.site.store_line.switch(HEALTHY)
        await scene.start()
        await scene.run.more_ends(30)


async def slow(scene: Scene) -> None:
    await broken(scene, StoreBehaviour(bytes_per_second=50_000), FAULTY_SECONDS)


async def damages(scene: Scene) -> None:
    await broken(scene, results(scene, corrupt_up=0.3), FAULTY_SECONDS)


async def lies(scene: Scene) -> None:
    await broken(scene, results(scene, false_checksum=0.3), FAULTY_SECONDS)


ROWS: tuple[Row, ...] = (
    Row("17", "503 SlowDown to everything for 20 s", away, waste=0.0, executions=1),
    Row("17b", "503 SlowDown for 20 s, and a worker killed meanwhile", away_and_rebalanced, waste=0.25),
    Row("18a", "the store hangs on writing results for 12 s", hangs, waste=0.0, executions=1),
    Row("18b", "3 of 10 answers to writes get lost", loses_answers, waste=0.0, executions=1),
    Row("18c", "3 of 10 answers to results are late, and a worker killed", holds_answers, waste=0.25),
    Row("19", "50 kB/s to and from the store for 12 s", slow, waste=0.0, executions=1),
    Row("20a", "3 of 10 results are damaged on their way", damages, waste=0.0, executions=1),
    Row("20b", "3 of 10 answers name a wrong checksum", lies, waste=0.02),
)
