"""Requests in, records out, offsets committed: against a real broker."""

import asyncio

import pytest

from pipeline.kafka.consume import Consumer
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from schemas.codec import Message
from schemas.topics import Lane, Topics
from tests.support.ledger import PlainLedger

pytestmark = pytest.mark.integration


async def test_consumer_receives_what_the_publisher_sent(kafka: KafkaSettings, topics: Topics) -> None:
    """Key, value and headers arrive unchanged, with the lane of the topic they were sent to."""
    message = Message(b"job-1", b'{"source":"https://example.org/a.png"}', (("ce_id", b"1"),))
    async with Publisher(kafka) as publisher:
        await publisher.publish(topics.requests[Lane.BULK].name, message, headers=(("traceparent", b"00-1"),))
    async with asyncio.timeout(60), Consumer(kafka, topics, PlainLedger()) as consumer:
        record = await anext(consumer)
    assert (record.key, record.value, record.lane) == (message.key, message.value, Lane.BULK)
    assert record.headers == (("ce_id", b"1"), ("traceparent", b"00-1"))
