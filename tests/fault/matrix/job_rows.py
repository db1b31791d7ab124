"""Jobs that kill, sources that fail, records that are no requests, and dead letters that nobody takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import orjson
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from pipeline.storage.transfer import upload
from schemas import codec
from schemas.events import event_from
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.fault.matrix.row import Row
from tests.support.crash_points import Crash, CrashPoint
from tests.support.deployment_local import request
from tests.support.device_faults import DeviceFault, DeviceTrouble
from tests.support.fault_run import picture, plain_picture
from tests.support.fault_scene import Scene, Source
from tests.support.flaky_source import flaky_source
from tests.support.history import Expected

RATE = 6.0
RECOVERY_SECONDS = 30.0
MALFORMED = Expected(state="parked", code="malformed_json", kept=False)
CRASH_LOOP = Expected(state="failed", code=str(FailureCode.CRASH_LOOP), kept=True)
NO_PICTURE = Expected(state="failed", code=str(FailureCode.IMAGE_FORMAT_UNSUPPORTED))
DEADLY = "deadly"
SHADE = 127
KILLS_DEVICE = DeviceFault(DeviceTrouble.DEADLY, SHADE)
BESIDE = 16
NOT_TAKEN_SECONDS = 10.0


async def kills(scene: Scene) -> None:
    """A picture that ends whoever computes it."""
    scene.how = replace(scene.how, deadly=DEADLY)
    await beside_others(scene, Source(scene.sources[0].tenant, scene.sources[0].name, CRASH_LOOP))


async def kills_device(scene: Scene) -> None:
    """A picture that no device survives; its worker ends by itself, after what it can still do."""
    scene.how = replace(scene.how, device=KILLS_DEVICE)
    name = await upload(scene.run.session.store, "acme", plain_picture(SHADE))
    await beside_others(scene, Source("acme", name, CRASH_LOOP))


async def beside_others(scene: Scene, deadly: Source) -> None:
    """Ask for a deadly picture among others. Supervisors start a worker for each that dies."""
    await scene.start(3)
    async with scene.load(RATE), supervised(scene):
        await scene.run.more_ends(15)
        with scene.run.fault("a picture that kills", recovery_seconds=RECOVERY_SECONDS):
            # In the midst of others, which are in hand whenever it kills: they must not be taken for its like.
            await scene.burst(BESIDE)
            asked = await scene.ask(deadly, job_id=DEADLY)
            await scene.burst(BESIDE)
        async with scene.run.changed:
            await scene.run.changed.wait_for(lambda: asked.job_id not in scene.run.open_jobs)
        await scene.run.more_ends(20)


@asynccontextmanager
async def supervised(scene: Scene) -> AsyncIterator[None]:
    """Whenever a worker dies another is started."""

    async def supervise() -> None:
        while True:
            await asyncio.wait(
                {worker.status for worker in scene.workers if worker.running}, return_when="FIRST_COMPLETED"
            )
            await scene.start(3 - sum(worker.running for worker in scene.workers))

    supervising = asyncio.create_task(supervise())
    try:
        yield
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)


async def handing_on(scene: Scene) -> None:
    """Sources fail at first; a worker is killed that has handed jobs on."""
    content, expected = picture(5, 16)
    victim, *_ = await scene.start(crash=Crash(CrashPoint.HANDED_ON, 12))
    async with flaky_source(content, refusals=1) as web:
        for number in range(30):
            await scene.ask(Source("acme", "", expected), source=f"{web.root}/{number}.png")
            # Commits are to fall between: a worker that hands on too late loses only what it has committed.
            await asyncio.sleep(0.1)
        with scene.run.fault("kill", recovery_seconds=RECOVERY_SECONDS, killed=victim.pid):
            await victim.ended()
        await scene.start(2)
        await scene.run.left(0)


async def no_dead_letters(scene: Scene) -> None:
    """The topic of dead letters takes nothing for a while, and a worker is killed that has one to put there."""
    victim, _ = await scene.start(2)
    async with scene.load(RATE / 2):
        await scene.run.more_ends(10)
        await untaking(scene, untaking=True)
        with scene.run.fault("no dead letters taken", recovery_seconds=RECOVERY_SECONDS):
            for _ in range(6):
                await scene.run.put(b"{no json", f"bad-{uuid4()}", MALFORMED)
            await asyncio.sleep(NOT_TAKEN_SECONDS / 2)
            await victim.kill()
            await scene.start()
            await asyncio.sleep(NOT_TAKEN_SECONDS / 2)
            await untaking(scene, untaking=False)
        await scene.run.more_ends(20)


async def untaking(scene: Scene, *, untaking: bool) -> None:
    """Ask for more copies in sync than there are, so that the topic and no other refuses what comes."""
    wanted = "4" if untaking else "2"
    topic = scene.run.session.topics.dead_letters
    client = AIOKafkaAdminClient(bootstrap_servers=scene.site.cluster.servers)
    await client.start()
    try:
        configs = {name: str(value) for name, value in topic.configuration.items()} | {"min.insync.replicas": wanted}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs)])
    finally:
        await client.close()


async def parking(scene: Scene) -> None:
    """A worker is killed that has put letters where dead letters go."""
    victim, *_ = await scene.start(crash=Crash(CrashPoint.PARKED, 6))
    async with scene.load(RATE / 2):
        for _ in range(12):
            await scene.run.put(b"{no json", f"bad-{uuid4()}", MALFORMED)
            await asyncio.sleep(0.1)
        with scene.run.fault("kill", recovery_seconds=RECOVERY_SECONDS, killed=victim.pid):
            await victim.ended()
        await scene.start(2)
        await scene.run.more_ends(10)


async def poison_flood(scene: Scene) -> None:
    """A fifth of all requests is bad in one way or another; that is nobody's fault but theirs."""
    await scene.start(2)
    corrupt = Source("acme", await upload(scene.run.session.store, "acme", b"no picture at all"), NO_PICTURE)
    async with scene.load(RATE):
        with scene.run.fault("a fifth is bad", recovery_seconds=RECOVERY_SECONDS):
            for _ in range(20):
                await scene.ask(corrupt)
                await scene.run.put(b"{no json", f"bad-{uuid4()}", MALFORMED, Lane.INTERACTIVE)
                await asyncio.sleep(1 / RATE)
        await scene.run.more_ends(30)


async def upgrade(scene: Scene) -> None:
    """Requests of a later version among ours, with what we do not know, and workers restarted one after the other."""
    old = await scene.start(2)
    async with scene.load(RATE / 2):
        with scene.run.fault("upgrade", recovery_seconds=RECOVERY_SECONDS):
            for number in range(20):
                await ask_in_words_to_come(scene, scene.sources[number % len(scene.sources)])
                if number in (5, 12):
                    await scene.start()
                    assert await old.pop().stop() == 0
                await asyncio.sleep(0.2)
        await scene.run.more_ends(20)


async def ask_in_words_to_come(scene: Scene, source: Source) -> None:
    asked = request(source.name, tenant=source.tenant)
    message = codec.encode(event_from(asked, source="/caller", time=datetime.now(UTC)))
    later = orjson.loads(message.value) | {"colour_management": {"intent": "perceptual"}}
    topic = scene.run.session.topics.requests[Lane.BULK].name
    headers = (*message.headers, ("ce_later", b"yes"))
    await scene.run.said(
        asked,
        source.expected,
        lambda: scene.run.session.publisher.send(topic, key=message.key, value=orjson.dumps(later), headers=headers),
    )


ROWS: tuple[Row, ...] = (
    Row("10", "a picture that kills its worker", kills, executions=3),
    Row("10b", "a picture that kills the device", kills_device, executions=3),
    Row("30", "no dead letters taken for 10 s, and a worker killed", no_dead_letters, waste=0.25),
    Row("30b", "kill -9 of a worker that has parked records", parking, waste=0.25),
    Row("31", "a fifth of all requests is bad", poison_flood, waste=0.0, executions=1, repeated_events=0),
    Row("32", "upgrade, with requests of a later version", upgrade, waste=0.02),
    Row("35", "kill -9 of a worker that has handed jobs on", handing_on, waste=0.25),
)
