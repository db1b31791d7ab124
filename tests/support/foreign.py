"""The broker as a client sees it that knows nothing of us: librdkafka."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import confluent_kafka

SILENCE_SECONDS = 30.0
"""After which nothing more is expected."""


@dataclass(frozen=True, slots=True)
class ForeignRecord:
    """A record with its headers as text."""

    headers: dict[str, str]
    value: bytes


def read(servers: str, topic: str) -> Iterator[ForeignRecord]:
    """The records of a topic from its beginning, without end. Fails the test after a long silence."""
    with closing(confluent_kafka.Consumer({"bootstrap.servers": servers, "group.id": "foreign"})) as consumer:
        partitions = consumer.list_topics(topic).topics[topic].partitions
        consumer.assign(
            [confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING) for number in partitions]
        )
        while (message := consumer.poll(SILENCE_SECONDS)) is not None:
            headers = dict(message.headers() or ())
            yield ForeignRecord({name: text(value) for name, value in headers.items()}, message.value() or b"")
    raise AssertionError(f"{topic}: nothing within {SILENCE_SECONDS:g} s of the last record")


def text(value: str | bytes | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode()


def send(
    servers: str, topic: str, value: bytes, *, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
) -> tuple[int, int]:
    """The partition and offset of the record, once the broker has it."""
    delivered: list[confluent_kafka.Message] = []
    producer = confluent_kafka.Producer({"bootstrap.servers": servers})
    producer.produce(
        topic, value, key=key, headers=list(headers), on_delivery=lambda _, message: delivered.append(message)
    )
    producer.flush(SILENCE_SECONDS)
    [message] = delivered
    assert message.error() is None
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset
