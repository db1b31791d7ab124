"""Brokers of a cluster of three are restarted, killed, frozen and outnumbered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiokafka import TopicPartition

from pipeline.errors import JobFailed
from pipeline.kafka.admin import administration
from pipeline.kafka.consume import Consumer
from pipeline.kafka.ends import end_offsets
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from schemas.failures import FailureCode
from schemas.topics import Lane, Topics
from tests.support.apache_kafka.broker import Cluster, apache_kafka
from tests.support.broker import broker_settings, created_topics
from tests.support.requirement import required
from tests.support.streams import lane_of, until_committed

pytestmark = [pytest.mark.fault, pytest.mark.cluster, pytest.mark.asyncio(loop_scope="module")]
DEADLINE_SECONDS = 120.0
UNFINISHED = 10
"""So many are acknowledged and not yet worked off: traffic never stops, and the brokers still get their processors."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Three brokers; every record has three copies, and is acknowledged when two are in sync."""
    with required():
        async with apache_kafka(tmp_path_factory.mktemp("cluster"), brokers=3) as running:
            yield running


@pytest.fixture
def kafka(cluster: Cluster) -> KafkaSettings:
    """Settings whose topic prefix and group no other test has."""
    return broker_settings(cluster.servers).model_copy(update={"replication_factor": 3})


class Traffic:
    """Requests that are published and worked off all the while."""

    def __init__(self, settings: KafkaSettings, topics: Topics) -> None:
        self.topic = topics.requests[Lane.BULK].name
        self.settings = settings
        self.acknowledged: set[bytes] = set()
        self.refused = 0
        self.worked_off: set[bytes] = set()
        self._topics = topics
        self._progress = asyncio.Condition()

    async def publish(self) -> None:
        async with Publisher(self.settings) as publisher:
            while True:
                await self._until(lambda: len(self.acknowledged - self.worked_off) < UNFINISHED)
                value = b"%d" % (len(self.acknowledged) + self.refused)
                try:
                    await publisher.send(self.topic, key=None, value=value, headers=())
                except JobFailed:
                    self.refused += 1
                else:
                    self.acknowledged.add(value)

    async def work_off(self) -> None:
        async with Consumer(self.settings, self._topics.request_lanes, OffsetLedger()) as consumer:
            async for record in lane_of(consumer, Lane.BULK):
                self.worked_off.add(record.value or b"")
                consumer.finish(record.position)
                async with self._progress:
                    self._progress.notify_all()

    async def moves(self, count: int = 20) -> None:
        """Return when `count` more records have been worked off."""
        wanted = len(self.worked_off) + count
        await self._until(lambda: len(self.worked_off) >= wanted)

    async def is_done(self) -> None:
        """Return when all that was acknowledged is worked off."""
        await self._until(lambda: self.acknowledged <= self.worked_off)

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with self._progress:
            await self._progress.wait_for(reached)


@asynccontextmanager
async def traffic(settings: KafkaSettings) -> AsyncIterator[Traffic]:
    """Traffic that has begun to flow; afterwards nothing that was acknowledged is lost, and all of it is committed."""
    running = Traffic(settings, await created_topics(settings))
    async with asyncio.timeout(DEADLINE_SECONDS):
        publishing, working = (asyncio.create_task(each) for each in (running.publish(), running.work_off()))
        try:
            await running.moves()
            yield running
            publishing.cancel()
            await asyncio.wait({publishing})
            await running.is_done()
            await all_is_committed(running)
        finally:
            for task in (publishing, working):
                task.cancel()
            await asyncio.wait({publishing, working})


async def all_is_committed(running: Traffic) -> None:
    partitions = [TopicPartition(running.topic, number) for number in range(running.settings.partitions)]
    ends = {each.partition: end for each, end in (await end_offsets(running.settings, partitions)).items()}
    await until_committed(running.settings, running.topic, lambda offsets: offsets == ends)


async def test_first_group_of_a_cluster_has_committed_nothing(cluster: Cluster) -> None:
    """Asking is no outage, although the topic that keeps offsets is only made then."""
    async with administration(broker_settings(cluster.servers)) as admin:
        assert await admin.committed("first", [TopicPartition("any", 0)]) == {}


async def test_rolling_restart_of_the_brokers_refuses_nothing_and_loses_nothing(
    cluster: Cluster, kafka: KafkaSettings
) -> None:
    """An upgrade of the cluster is nothing that requesters or workers notice."""
    async with traffic(kafka) as running:
        for broker in cluster.brokers:
            await broker.stop()
            await running.moves()
            await broker.start()
            await broker.ready()
    assert running.refused == 0


async def test_killed_broker_takes_nothing_along_that_was_acknowledged(cluster: Cluster, kafka: KafkaSettings) -> None:
    """Others lead its partitions and its groups, and work goes on before it is back."""
    async with traffic(kafka) as running:
        await cluster.brokers[0].kill()
        await running.moves(100)
        await cluster.brokers[0].start()
        await cluster.brokers[0].ready()


async def test_requests_are_refused_in_time_while_too_few_brokers_are_left_and_none_is_lost(
    cluster: Cluster, kafka: KafkaSettings
) -> None:
    """With one of three nothing is acknowledged; when they are back, all that ever was is there."""
    settings = kafka.model_copy(update={"publish_timeout_seconds": 1.0})
    async with traffic(settings) as running:
        for broker in cluster.brokers[1:]:
            await broker.kill()
        async with Publisher(settings) as publisher:
            with pytest.raises(JobFailed) as failed:
                await publisher.send(running.topic, key=None, value=b"outnumbered", headers=())
            assert failed.value.code is FailureCode.BROKER_UNAVAILABLE
        for broker in cluster.brokers[1:]:
            await broker.start()
        await asyncio.gather(*(broker.ready() for broker in cluster.brokers))
        await running.moves()
