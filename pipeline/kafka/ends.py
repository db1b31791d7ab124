"""Where each partition ends, learnt from a fetch."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.kafka.admin import translated
from pipeline.kafka.connection import answering_servers, connect, connection_options, stop_bounded
from pipeline.settings import KafkaSettings

FETCH_BYTES = 1024
"""The answer's high watermark is wanted, not its records."""
POLL_MS = 50


async def end_offsets(settings: KafkaSettings, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset that the next record of each partition will get. Raises `ServiceUnreachable`.

    Every fetch answers with the high watermark. The request made for the purpose, ListOffsets, is not used because
    the embedded broker answers it wrongly for batches of more than one record.
    """
    wanted = tuple(partitions)
    if not wanted:
        return {}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=await answering_servers(settings),
        **connection_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        await connect(settings, consumer.start())
        consumer.assign(wanted)
        async with translated(settings), asyncio.timeout(settings.request_timeout_ms / 1000):
            return await _watermarks(consumer, wanted)
    finally:
        await stop_bounded("end offsets", consumer.stop())


async def _watermarks(consumer: AIOKafkaConsumer, wanted: tuple[TopicPartition, ...]) -> dict[TopicPartition, int]:
    while True:
        await consumer.getmany(timeout_ms=POLL_MS)
        marks = {partition: consumer.highwater(partition) for partition in wanted}
        if all(mark is not None for mark in marks.values()):
            return marks
