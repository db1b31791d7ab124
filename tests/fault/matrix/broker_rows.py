"""Brokers and the lines to them."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from tests.fault.matrix.row import Row
from tests.support.apache_kafka.broker import ApacheBroker
from tests.support.fault_pipe import Flow
from tests.support.fault_proxy import HELD, PASS, Behaviour
from tests.support.fault_scene import Scene
from tests.support.fault_site import PACE

RATE = 6.0
RECOVERY_SECONDS = 30.0
"""Brokers are Java: on a busy machine a new leader takes seconds."""
HUNG_SECONDS = 30.0 / PACE
GONE_SECONDS = 60.0 / PACE
ALL_GONE_SECONDS = 20.0
PARTITION_SECONDS = 15.0
"""More than two sessions."""
LATE = Flow(latency_seconds=0.1, jitter_seconds=0.04, bytes_per_second=64_000)
LATE_SECONDS = 20.0


async def hung(scene: Scene) -> None:
    await scene.start(3)
    broker = scene.chance.choice(scene.site.cluster.brokers)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("a broker hung", recovery_seconds=RECOVERY_SECONDS):
            await broker.freeze()
            await asyncio.sleep(HUNG_SECONDS)
            broker.thaw()
        await scene.run.more_ends(30)


async def gone(scene: Scene) -> None:
    await scene.start(3)
    broker = scene.chance.choice(scene.site.cluster.brokers)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("a broker gone", recovery_seconds=RECOVERY_SECONDS):
            await broker.kill()
            await asyncio.sleep(GONE_SECONDS)
            await back(broker)
        await scene.run.more_ends(30)


async def all_gone(scene: Scene) -> None:
    await scene.start(3)
    brokers = scene.site.cluster.brokers
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("all brokers gone", recovery_seconds=RECOVERY_SECONDS):
            for broker in brokers:
                await broker.kill()
            await asyncio.sleep(ALL_GONE_SECONDS)
            await back(*brokers)
        await scene.run.more_ends(30)


async def back(*brokers: ApacheBroker) -> None:
    for broker in brokers:
        await broker.start()
    await asyncio.gather(*(broker.ready() for broker in brokers))


async def rolling_brokers(scene: Scene) -> None:
    await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("brokers restarted one after the other", recovery_seconds=RECOVERY_SECONDS):
            for broker in scene.site.cluster.brokers:
                await broker.stop()
                await scene.run.more_ends(5)
                await back(broker)
        await scene.run.more_ends(30)


async def outnumbered(scene: Scene) -> None:
    await scene.start(3)
    others = scene.chance.sample(scene.site.cluster.brokers, 2)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("one broker of three left", recovery_seconds=RECOVERY_SECONDS):
            for broker in others:
                await broker.kill()
            await asyncio.sleep(HUNG_SECONDS)
            await back(*others)
        await scene.run.more_ends(30)


async def partitioned(scene: Scene, behaviour: Behaviour) -> None:
    """One of three workers hears nothing of the brokers, or they nothing of it."""
    await asyncio.gather(scene.start(2), scene.start(1, scene.lined))
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        with scene.run.fault("one-way partition", recovery_seconds=RECOVERY_SECONDS):
            for line in scene.site.lines:
                line.switch(behaviour)
            await asyncio.sleep(PARTITION_SECONDS)
            for line in scene.site.lines:
                line.switch(PASS)
        await scene.run.more_ends(30)


async def late(scene: Scene) -> None:
    await scene.start(3, scene.lined)
    before = [await worker.metric("upscale_rebalances_total") for worker in scene.workers]
    async with scene.load(RATE / 2):
        with scene.run.fault("late and narrow lines", recovery_seconds=RECOVERY_SECONDS):
            for line in scene.site.lines:
                line.switch(Behaviour(up=LATE, down=LATE))
            await asyncio.sleep(LATE_SECONDS)
            after = [await worker.metric("upscale_rebalances_total") for worker in scene.workers]
            for line in scene.site.lines:
                line.switch(PASS)
        await scene.run.more_ends(10)
    assert after == before, f"rebalances: {before} before, {after} after"


async def without_coordinator(scene: Scene) -> None:
    """The broker that has the group's offsets is killed, and another reads them first."""
    await scene.start(3)
    async with scene.load(RATE):
        await scene.run.more_ends(15)
        broker = await coordinator(scene)
        with scene.run.fault("coordinator gone", recovery_seconds=RECOVERY_SECONDS):
            await broker.kill()
            await asyncio.sleep(HUNG_SECONDS)
            await back(broker)
        await scene.run.more_ends(30)


async def coordinator(scene: Scene) -> ApacheBroker:
    client = AIOKafkaAdminClient(bootstrap_servers=scene.site.cluster.servers)
    await client.start()
    try:
        number: int = await client.find_coordinator(scene.settings.kafka.group)
    finally:
        await client.close()
    return scene.site.cluster.brokers[number - 1]


async def deaf(scene: Scene) -> None:
    await partitioned(scene, Behaviour(down=HELD))


async def mute(scene: Scene) -> None:
    await partitioned(scene, Behaviour(up=HELD))


ROWS: tuple[Row, ...] = (
    Row("11a", "a broker hung for 6 s", hung, waste=0.10),
    Row("11b", "a broker gone for 12 s", gone, waste=0.10),
    Row("11c", "all brokers gone for 20 s", all_gone, waste=0.25),
    Row("12", "brokers restarted one after the other", rolling_brokers, waste=0.10),
    Row("13", "one broker of three left for 6 s", outnumbered, waste=0.25),
    Row("14a", "nothing from one worker arrives for 15 s", mute, waste=0.25),
    Row("14b", "nothing arrives at one worker for 15 s", deaf, waste=0.25),
    Row("15", "100 ± 40 ms and 64 kB/s to the brokers", late, waste=0.02),
    Row("16", "the group's coordinator gone for 6 s", without_coordinator, waste=0.10),
)
