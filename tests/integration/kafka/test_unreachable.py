"""Brokers that are not there, are something else, hang or go away."""

import asyncio
import gc
from contextlib import AbstractAsyncContextManager

import pytest

from pipeline.embedded.broker import Broker
from pipeline.embedded.process import free_port
from pipeline.errors import JobFailed, ServiceUnreachable
from pipeline.kafka.admin import TopicsMissing, administration
from pipeline.kafka.consume import Consumer
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.settings import InvalidSettings, KafkaSettings
from schemas.failures import FailureCode
from schemas.topics import Lane, declare
from tests.support.broker import broker_settings, created_topics
from tests.support.processes import freeze, thaw
from tests.support.streams import lane_of

pytestmark = pytest.mark.integration


def consumer(settings: KafkaSettings) -> Consumer:
    return Consumer(settings, declare(settings.topic_prefix).request_lanes, OffsetLedger())


@pytest.mark.parametrize("client", [consumer, Publisher, administration])
async def test_client_that_cannot_connect_says_what_where_why_and_which_variable(client: type) -> None:
    """The first line of a failed start is all that an operator needs."""
    address = f"127.0.0.1:{free_port()}"
    text = rf"^cannot reach the Kafka broker at {address}: connection refused; set UPSCALE_KAFKA__SERVERS to change"
    with pytest.raises(ServiceUnreachable, match=text):
        async with asyncio.timeout(20), client(KafkaSettings(servers=address)):
            pytest.fail("entered without a broker")


async def test_client_of_an_unknown_host_says_that_the_name_is_not_known() -> None:
    """A misspelt name is told apart from a broker that is down."""
    with pytest.raises(ServiceUnreachable, match=r"nowhere\.invalid:9092: the host name is not known"):
        async with asyncio.timeout(30), Publisher(KafkaSettings(servers="nowhere.invalid:9092")):
            pytest.fail("entered without a broker")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_client_of_something_else_says_that_it_is_no_broker() -> None:
    """A wrong port, or TLS where none is spoken, is told apart from a broker that is down.

    The library now and then leaves a connection that was hung up on to the garbage collector, which warns.
    """

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceUnreachable, match="does not answer as a broker that speaks PLAINTEXT"):
            async with asyncio.timeout(30), Publisher(KafkaSettings(servers=f"127.0.0.1:{port}")):
                pytest.fail("entered without a broker")
    gc.collect()


async def test_client_connects_when_any_of_its_servers_answers(broker: Broker) -> None:
    """One broker of a cluster that is down does not keep the others from being used."""
    settings = KafkaSettings(servers=f"127.0.0.1:{free_port()}, {broker.servers}")
    async with asyncio.timeout(20), administration(settings) as admin:
        await admin.facts()


async def test_client_without_servers_names_the_variable() -> None:
    """An empty list is a mistake in the settings, not an outage."""
    with pytest.raises(InvalidSettings, match="UPSCALE_KAFKA__SERVERS: must name a host:port, got ' , '"):
        async with Publisher(KafkaSettings(servers=" , ")):
            pytest.fail("entered without a broker")


async def test_consumer_of_missing_topics_names_them_and_the_command(kafka: KafkaSettings) -> None:
    """They are neither waited for nor created with whatever the broker thinks right."""
    text = rf"missing on the broker: {kafka.topic_prefix}\.requests\.bulk, .*interactive; `upscale topics create`"
    with pytest.raises(TopicsMissing, match=text):
        async with asyncio.timeout(20), consumer(kafka):
            pytest.fail("entered without topics")


async def test_event_that_a_hanging_broker_does_not_acknowledge_fails_the_job_in_time(
    own_broker: AbstractAsyncContextManager[Broker],
) -> None:
    """Publishing never waits longer than its setting, whatever the broker does."""
    async with own_broker as broker:
        settings = broker_settings(broker.servers).model_copy(update={"publish_timeout_seconds": 0.5})
        topics = await created_topics(settings)
        async with Publisher(settings) as publisher:
            await publisher.send(topics.events.name, key=None, value=b"before", headers=())
            await freeze(broker.child.pid)
            with pytest.raises(JobFailed, match=r"not acknowledged within 0\.5 seconds") as failed:
                async with asyncio.timeout(20):
                    await publisher.send(topics.events.name, key=None, value=b"hangs", headers=())
            thaw(broker.child.pid)
            assert failed.value.code is FailureCode.BROKER_UNAVAILABLE


async def test_consumer_leaves_in_bounded_time_when_the_broker_is_gone(
    own_broker: AbstractAsyncContextManager[Broker],
) -> None:
    """A shutdown during an outage is a shutdown all the same, and what was read stays uncommitted."""
    async with own_broker as broker:
        settings = broker_settings(broker.servers)
        topics = await created_topics(settings)
        async with Publisher(settings) as publisher:
            await publisher.send(topics.requests[Lane.BULK].name, key=None, value=b"x", headers=())
        async with asyncio.timeout(60), Consumer(settings, topics.request_lanes, OffsetLedger()) as leaving:
            record = await anext(lane_of(leaving, Lane.BULK))
            leaving.finish(record.position)
            await broker.child.kill()
