"""Publishing and parking, against a real broker."""

import pytest

from pipeline.kafka.deadletter import Why, park
from pipeline.kafka.follow import follow
from pipeline.kafka.publish import MessageTooLarge, Publisher
from pipeline.settings import KafkaSettings
from pipeline.telemetry import metrics
from schemas import topics as names
from schemas.topics import Lane, Topics
from tests.support.requests import make_received
from tests.support.streams import consuming, lane_of

pytestmark = pytest.mark.integration


async def test_dead_letter_keeps_key_and_value_and_says_where_from_and_why(
    kafka: KafkaSettings, topics: Topics
) -> None:
    """What nobody can read is kept byte for byte, beside what an operator needs to find its sender."""
    record = make_received(topic="requests", partition=1, offset=5, key=None, value=b"\x00\xff{")
    counter = metrics.DEAD_LETTERS.labels("requests", "malformed_json")
    before = counter._value.get()
    async with Publisher(kafka) as publisher:
        await park(publisher, topics.requests[Lane.BULK].name, record, Why("malformed_json", "line 1"))
    async with consuming(kafka, topics) as consumer:
        parked = await anext(lane_of(consumer, Lane.BULK))
    headers = dict(parked.headers)
    assert (parked.key, parked.value) == (None, b"\x00\xff{")
    assert headers[names.DEAD_LETTER_REASON] == b"malformed_json"
    assert (headers[names.ORIGIN_TOPIC], headers[names.ORIGIN_OFFSET]) == (b"requests", b"5")
    assert counter._value.get() == before + 1


async def test_dead_letter_that_is_too_large_is_parked_without_its_value(kafka: KafkaSettings, topics: Topics) -> None:
    """A record that could never be parked would hold up its partition for ever."""
    value = bytes(17 * 2**20)
    async with Publisher(kafka) as publisher:
        await park(publisher, topics.requests[Lane.BULK].name, make_received(value=value), Why("too_large", "17 MiB"))
    async with consuming(kafka, topics) as consumer:
        parked = await anext(lane_of(consumer, Lane.BULK))
    assert (parked.key, parked.value) == (b"job-1", None)
    assert dict(parked.headers)[names.VALUE_OMITTED] == b"%d" % len(value)


async def test_dead_letter_of_any_shape_is_parked(kafka: KafkaSettings, topics: Topics) -> None:
    """Whatever a sender can write, one record neither ends the worker nor holds up its partition for ever."""
    huge = bytes(17 * 2**20)
    records = {
        "neither key nor value": make_received(key=None, value=None),
        "large value without a key": make_received(key=None, value=huge),
        "large key": make_received(key=huge),
        "large headers": make_received(headers=(("theirs", huge),)),
    }
    async with Publisher(kafka) as publisher:
        for shape, record in records.items():
            await park(publisher, topics.requests[Lane.BULK].name, record, Why("empty", shape))
    async with consuming(kafka, topics) as consumer:
        parked = [dict((await anext(lane_of(consumer, Lane.BULK))).headers) for _ in records]
    assert {headers[names.DEAD_LETTER_DETAIL].decode() for headers in parked} == set(records)


async def test_large_dead_letter_is_parked_whole(kafka: KafkaSettings, topics: Topics) -> None:
    """Its topic takes more than a broker does by default, and so do the clients."""
    value = bytes(3 * 2**20)
    async with Publisher(kafka) as publisher, follow(kafka, topics.dead_letters.name) as parked:
        await park(publisher, topics.dead_letters.name, make_received(value=value), Why("too_large", "3 MiB"))
        assert (await anext(parked)).value == value


async def test_event_that_is_too_large_is_refused_by_name(kafka: KafkaSettings, topics: Topics) -> None:
    """Sending it again would not help, so it is not reported as an outage."""
    async with Publisher(kafka) as publisher:
        with pytest.raises(MessageTooLarge):
            await publisher.send(topics.events.name, key=None, value=bytes(17 * 2**20), headers=())
