"""What Apache Kafka does and the embedded broker does not: each difference with a question that tells them apart.

`docs/brokers.md` has them as a table.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OffsetOutOfRangeError

from pipeline.kafka.admin import TopicRefused, administration
from pipeline.settings import KafkaSettings
from schemas.topics import Topic

ANSWER_SECONDS = 10.0
"""A broker that has not done what was asked of it by then does not do it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One difference."""

    name: str
    kafka: str
    """What Apache Kafka does."""
    embedded: str
    """What the embedded broker does instead."""
    consequence: str
    """What this program, or whoever tests it, does about it."""
    filled: Callable[[KafkaSettings], Awaitable[bool]]
    """Whether the broker of these settings does what Apache Kafka does. May raise `KafkaError`, which means no."""


async def is_filled(gap: Gap, settings: KafkaSettings) -> bool:
    """Whether the broker of `settings` does what Apache Kafka does."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await gap.filled(settings)
    except (KafkaError, TimeoutError, ValueError):
        return False


@asynccontextmanager
async def admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.servers)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def producer(settings: KafkaSettings, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(bootstrap_servers=settings.servers, **options)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def reader(
    settings: KafkaSettings, partition: TopicPartition, **options: object
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer outside any group that reads `partition` from the start."""
    client = AIOKafkaConsumer(bootstrap_servers=settings.servers, **({"auto_offset_reset": "earliest"} | options))
    try:
        await client.start()
        client.assign([partition])
        yield client
    finally:
        await client.stop()


async def new_partition(settings: KafkaSettings, **configuration: str) -> TopicPartition:
    """The only partition of a new topic.

    It keeps records for ever, for those of `put_batch` are from 1970: Kafka's retention takes them at its next round.
    """
    name = f"{settings.topic_prefix}.{uuid4().hex[:8]}"
    topic_configs = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configuration.items()}
    async with admin(settings) as client:
        await client.create_topics([NewTopic(name, 1, 1, topic_configs=topic_configs)])
    return TopicPartition(name, 0)


async def put_batch(settings: KafkaSettings, partition: TopicPartition, timestamps: Sequence[int]) -> None:
    """One batch with a record for each timestamp, in milliseconds."""
    async with producer(settings) as client:
        batch = client.create_batch()
        for timestamp in timestamps:
            batch.append(key=None, value=b"x", timestamp=timestamp)
        await (await client.send_batch(batch, partition.topic, partition=partition.partition))


async def tells_the_end_of_a_batch(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    await put_batch(settings, partition, [1000] * 5)
    async with reader(settings, partition) as client:
        ends = await client.end_offsets([partition])
    return bool(ends == {partition: 5})


async def finds_an_offset_by_time(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    await put_batch(settings, partition, [1000, 2000, 3000])
    async with reader(settings, partition) as client:
        found = await client.offsets_for_times({partition: 2000})
    return found[partition] is not None and found[partition].offset == 1


async def refuses_an_offset_that_is_not_there(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    async with reader(settings, partition, auto_offset_reset="none") as client:
        client.seek(partition, 1000)
        try:
            await client.getmany(timeout_ms=3000)
        except OffsetOutOfRangeError:
            return True
    return False


async def takes_an_idempotent_producer(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    async with producer(settings, enable_idempotence=True) as client:
        await client.send_and_wait(partition.topic, b"x")
    return True


async def hides_what_was_aborted(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    async with producer(settings, transactional_id=partition.topic) as client:
        await client.begin_transaction()
        await client.send_and_wait(partition.topic, b"aborted")
        await client.abort_transaction()
        async with client.transaction():
            await client.send_and_wait(partition.topic, b"committed")
    async with reader(settings, partition, isolation_level="read_committed") as client:
        return bool((await client.getone()).value == b"committed")


async def enforces_the_size_of_a_topic(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings, max_message_bytes="1000")
    async with producer(settings) as client:
        try:
            await client.send_and_wait(partition.topic, bytes(5000))
        except MessageSizeTooLargeError:
            return True
    return False


async def refuses_more_copies_than_brokers(settings: KafkaSettings) -> bool:
    wanted = settings.model_copy(update={"replication_factor": 3})
    try:
        async with administration(wanted) as client:
            await client.create([Topic(f"{settings.topic_prefix}.copies", 1, retention_ms=60_000)])
    except TopicRefused:
        return True
    return False


async def can_be_kept_from_making_topics(settings: KafkaSettings) -> bool:
    name = f"{settings.topic_prefix}.misspelt"
    async with producer(settings, request_timeout_ms=1000) as client:
        try:
            await client.send_and_wait(name, b"x")
        except KafkaError:
            return True
    return False


async def adds_partitions(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    async with admin(settings) as client:
        await client.create_partitions({partition.topic: NewPartitions(2)})
        [described] = await client.describe_topics([partition.topic])
    return len(described["partitions"]) == 2


async def changes_the_configuration_of_a_topic(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    change = ConfigResource(ConfigResourceType.TOPIC, partition.topic, {"retention.ms": "1000"})
    async with admin(settings) as client:
        [answer] = await client.alter_configs([change])
    return all(code == 0 for code, *_ in answer.resources)


async def deletes_records(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    await put_batch(settings, partition, [1000] * 3)
    async with admin(settings) as client:
        low = await client.delete_records({partition: RecordsToDelete(before_offset=2)})
    return bool(low == {partition: 2})


async def lists_all_offsets_of_a_group(settings: KafkaSettings) -> bool:
    partition = await new_partition(settings)
    async with administration(settings) as ours:
        await ours.committed(settings.group, [partition])  # waits for the group to have a coordinator
    async with admin(settings) as client:
        return bool(await client.list_consumer_group_offsets(settings.group) == {})


GAPS = (
    Gap(
        "ends",
        "ListOffsets tells the end of a partition, whatever the size of its last batch",
        "tells one more than where the last batch begins",
        "`pipeline/kafka/ends.py` asks a fetch for the high watermark; readers start at `earliest` or by seeking there",
        tells_the_end_of_a_batch,
    ),
    Gap(
        "times",
        "finds the first record at or after a time",
        "finds the first of the batch",
        "nothing here looks for offsets by time",
        finds_an_offset_by_time,
    ),
    Gap(
        "range",
        "a fetch beyond the end is refused, and the reader's `auto_offset_reset` decides",
        "the fetch finds nothing, for ever",
        "expired offsets cannot be tested on it",
        refuses_an_offset_that_is_not_there,
    ),
    Gap(
        "idempotence",
        "takes an idempotent producer",
        "refuses aiokafka's",
        "ours is not: events are recognised by their id",
        takes_an_idempotent_producer,
    ),
    Gap(
        "transactions",
        "`read_committed` hides what was aborted",
        "has no transactions",
        "none are used: effects are idempotent",
        hides_what_was_aborted,
    ),
    Gap(
        "size",
        "enforces `max.message.bytes`, 1 MiB by default",
        "takes any size",
        "the dead-letter topic is declared with 16 MiB; elsewhere the broker's limit holds",
        enforces_the_size_of_a_topic,
    ),
    Gap(
        "copies",
        "refuses a topic with more copies than there are brokers",
        "makes it and claims as many copies as were asked for",
        "what `upscale topics check` says of copies means something on Apache Kafka only",
        refuses_more_copies_than_brokers,
    ),
    Gap(
        "auto-create",
        "can be told not to make topics that are merely written to",
        "makes them, with 4 partitions",
        "consumers require their topics; a misspelt name shows on Apache Kafka only",
        can_be_kept_from_making_topics,
    ),
    Gap(
        "partitions",
        "adds partitions to a topic",
        "does not know the request",
        "choose `UPSCALE_KAFKA__PARTITIONS` before the first start",
        adds_partitions,
    ),
    Gap(
        "configuration",
        "changes the configuration of a topic",
        "does not know the request",
        "make the topic anew",
        changes_the_configuration_of_a_topic,
    ),
    Gap(
        "deletion",
        "deletes the records before an offset",
        "hangs up",
        "nothing here deletes records",
        deletes_records,
    ),
    Gap(
        "group offsets",
        "lists all offsets of a group",
        "answers what aiokafka cannot read",
        "`pipeline/kafka/admin.py` names the partitions",
        lists_all_offsets_of_a_group,
    ),
)
