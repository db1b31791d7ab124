"""librdkafka, another implementation altogether, on the other side: what we promise to any Kafka client."""

import asyncio
import json
from datetime import UTC, datetime

import confluent_kafka
import pytest

from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from schemas.codec import decode, encode
from schemas.events import UpscaleCanceled, UpscaleRequested, event_from
from schemas.topics import Lane, Topics
from tests.support.streams import consuming, lane_of

pytestmark = pytest.mark.integration

SOURCE = "https://example.org/a.png"
TYPE = UpscaleRequested.type
BARE = ({"job_id": "job-1", "source": SOURCE}, {})
BINARY = (
    {"job_id": "job-1", "source": SOURCE},
    {"content-type": "application/json", "ce_specversion": "1.0", "ce_id": "1", "ce_source": "/cms", "ce_type": TYPE},
)
STRUCTURED = (
    {"specversion": "1.0", "id": "1", "source": "/cms", "type": TYPE, "data": {"job_id": "job-1", "source": SOURCE}},
    {"content-type": "application/cloudevents+json"},
)


def produce(settings: KafkaSettings, topic: str, value: bytes, headers: dict[str, str], **options: str) -> None:
    """Send one record with librdkafka and wait for its acknowledgement."""
    producer = confluent_kafka.Producer({"bootstrap.servers": settings.servers} | options)
    producer.produce(topic, value=value, key=b"job-1", headers=headers)
    assert producer.flush(30) == 0


def consume(settings: KafkaSettings, topic: str) -> confluent_kafka.Message:
    """The first record of a topic, read with librdkafka."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": settings.servers, "group.id": "foreign", "enable.auto.commit": False}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in range(settings.partitions)])
    try:
        messages = consumer.consume(1, timeout=30)
        assert messages, "no record within 30 s"
        return messages[0]
    finally:
        consumer.close()


@pytest.mark.parametrize("form", [BARE, BINARY, STRUCTURED], ids=["bare", "binary", "structured"])
async def test_request_of_a_foreign_client_is_understood(
    kafka: KafkaSettings, topics: Topics, form: tuple[dict[str, object], dict[str, str]]
) -> None:
    """Bare JSON and both CloudEvents modes name the same job."""
    document, headers = form
    topic = topics.requests[Lane.INTERACTIVE].name
    await asyncio.to_thread(produce, kafka, topic, json.dumps(document).encode(), headers)
    async with consuming(kafka, topics) as consumer:
        record = await anext(lane_of(consumer, Lane.INTERACTIVE))
    event = decode(record.value, record.headers, origin=record.position.origin)
    assert isinstance(event.data, UpscaleRequested)
    assert (event.data.job_id, event.data.source) == ("job-1", SOURCE)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_compressed_request_is_read(kafka: KafkaSettings, topics: Topics, codec: str) -> None:
    """Producers choose their compression; every one that Kafka knows is read."""
    value = json.dumps({"source": SOURCE, "labels": {"note": "z" * 200}}).encode()
    topic = topics.requests[Lane.BULK].name
    await asyncio.to_thread(produce, kafka, topic, value, {}, **{"compression.type": codec})
    async with consuming(kafka, topics) as consumer:
        assert (await anext(lane_of(consumer, Lane.BULK))).value == value


async def test_event_of_ours_is_read_by_a_foreign_client(kafka: KafkaSettings, topics: Topics) -> None:
    """Key, attributes and payload are plain bytes that any client shows."""
    event = event_from(UpscaleCanceled(job_id="job-1"), source="/upscale/test", time=datetime(2026, 1, 2, tzinfo=UTC))
    async with Publisher(kafka) as publisher:
        await publisher.publish(topics.events.name, encode(event), headers=(("traceparent", b"00-ab-cd-01"),))
    message = await asyncio.to_thread(consume, kafka, topics.events.name)
    headers = dict(message.headers())
    assert message.key() == b"job-1"
    assert (headers["ce_type"], headers["ce_id"]) == (event.type.encode(), event.id.encode())
    assert headers["traceparent"] == b"00-ab-cd-01"
    assert json.loads(message.value())["job_id"] == "job-1"
