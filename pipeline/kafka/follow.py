"""A topic from now on, read outside any group: for a requester that waits for its own events."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.errors import ServiceUnreachable
from pipeline.kafka.admin import administration, translated
from pipeline.kafka.connection import connect, connection_options, stop_bounded
from pipeline.kafka.ends import end_offsets
from pipeline.settings import KafkaSettings, variable


@dataclass(frozen=True, slots=True)
class Followed:
    """One record of the topic."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    origin: str
    """Topic, partition and offset."""


class Follower:
    """Entering finds where the topic ends; iterating gives every record from there on, without end.

    Entering raises `ServiceUnreachable` when the broker does not answer or has no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            **connection_options(settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )

    async def __aenter__(self) -> Self:
        ends = await end_offsets(self._settings, await self._partitions())
        try:
            await connect(self._settings, self._consumer.start())
            self._consumer.assign(tuple(ends))
            for partition, end in ends.items():
                self._consumer.seek(partition, end)
        except BaseException:
            await stop_bounded("follower", self._consumer.stop())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_bounded("follower", self._consumer.stop())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        async with translated(self._settings):
            record = await self._consumer.getone()
        headers = tuple((name, value or b"") for name, value in record.headers)
        return Followed(record.value, headers, f"{record.topic}/{record.partition}/{record.offset}")

    async def _partitions(self) -> list[TopicPartition]:
        async with administration(self._settings) as admin:
            facts = (await admin.facts()).get(self._topic)
        if facts is None:
            raise ServiceUnreachable(
                f"topic {self._topic}",
                self._settings.servers,
                variable("kafka", "topic_prefix"),
                "there is no such topic; `upscale topics create` makes it",
            )
        return [TopicPartition(self._topic, number) for number in range(facts.partitions)]
