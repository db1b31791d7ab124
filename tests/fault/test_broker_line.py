"""The line to the broker is slow, hangs or breaks."""

from pathlib import Path

import pytest

from pipeline.errors import JobFailed
from pipeline.kafka.consume import Consumer
from pipeline.kafka.publish import Publisher
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.broker import broker_settings, created_topics
from tests.support.fault_proxy import HANG, HELD, PASS, REFUSE, Behaviour
from tests.support.proxied import proxied_broker
from tests.support.streams import consuming, put, take

pytestmark = pytest.mark.fault


async def values_up_to(consumer: Consumer, last: bytes) -> list[bytes | None]:
    values: list[bytes | None] = []
    while last not in values:
        values += [record.value for record in await take(consumer, 1, Lane.BULK)]
    return values


async def test_every_client_of_a_proxied_broker_comes_through_the_proxy(tmp_path: Path) -> None:
    """Metadata, joining, fetching and publishing: with the proxy refusing, a client that learnt an address has none
    but the proxy's."""
    async with proxied_broker(tmp_path) as (broker, proxy):
        settings = broker_settings(broker.servers).model_copy(update={"publish_timeout_seconds": 1.0})
        topics = await created_topics(settings)
        topic = topics.requests[Lane.BULK].name
        async with consuming(settings, topics) as consumer, Publisher(settings) as publisher:
            await put(settings, topic, b"through")
            assert [record.value for record in await take(consumer, 1, Lane.BULK)] == [b"through"]

            proxy.switch(REFUSE)
            await proxy.reset()
            with pytest.raises(JobFailed) as failed:
                await publisher.send(topic, key=b"key", value=b"nowhere", headers=())
            assert failed.value.code == FailureCode.BROKER_UNAVAILABLE

            proxy.switch(PASS)
            await publisher.send(topic, key=b"key", value=b"again", headers=())
            # What was not acknowledged may have been written all the same: a producer does not forget it at once.
            assert set(await values_up_to(consumer, b"again")) - {b"nowhere"} == {b"again"}


@pytest.mark.parametrize("behaviour", [HANG, Behaviour(down=HELD)], ids=["hung", "answers lost"])
async def test_publish_to_a_broker_that_is_silent_is_unknown_in_time_and_safe_to_repeat(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    """Whether or not the broker heard it, the publisher says after its timeout that it does not know, and says it
    again once the line is back."""
    async with proxied_broker(tmp_path) as (broker, proxy):
        settings = broker_settings(broker.servers).model_copy(update={"publish_timeout_seconds": 1.0})
        topics = await created_topics(settings)
        topic = topics.requests[Lane.BULK].name
        async with Publisher(settings) as publisher:
            await publisher.send(topic, key=b"key", value=b"before", headers=())
            proxy.switch(behaviour)
            with pytest.raises(JobFailed):
                await publisher.send(topic, key=b"key", value=b"unknown", headers=())
            proxy.switch(PASS)
            await publisher.send(topic, key=b"key", value=b"after", headers=())
        async with consuming(settings, topics) as consumer:
            values = await values_up_to(consumer, b"after")
        assert set(values) - {b"unknown"} == {b"before", b"after"}
