"""What lies in the store and on the broker when a run is over, read back by nobody's word but theirs."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Mapping

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from PIL import Image, UnidentifiedImageError

from pipeline.kafka.admin import administration
from pipeline.kafka.connection import connection_options, stop_bounded
from pipeline.kafka.ends import end_offsets
from pipeline.settings import KafkaSettings
from pipeline.storage.client import Store
from pipeline.storage.keys import RESULTS
from schemas.topics import DEAD_LETTER_REASON, Topic, Topics
from tests.support.history import Final, FoundDeadLetter, FoundObject, FoundPartition
from tests.support.store import open_uploads

READS_AT_A_TIME = 8


async def final_state(kafka: KafkaSettings, topics: Topics, store: Store, writes: Mapping[str, int]) -> Final:
    """All that a checker wants to know. Nothing may be at work any more. `writes` counts PUTs of the store by path."""
    results = f"/{store.settings.bucket}/{RESULTS}/"
    return Final(
        objects=await found_objects(store),
        partitions=await found_partitions(kafka, topics),
        dead_letters=tuple([letter async for letter in found_dead_letters(kafka, topics.dead_letters)]),
        open_uploads=tuple(await open_uploads(store)),
        overwritten=tuple(path for path, times in writes.items() if path.startswith(results) and times > 1),
    )


async def found_objects(store: Store) -> tuple[FoundObject, ...]:
    """Every object under the results, read whole."""
    places = asyncio.Semaphore(READS_AT_A_TIME)

    async def read(key: str) -> FoundObject:
        async with places:
            answer = await store.s3.get_object(Bucket=store.settings.bucket, Key=key)
            async with answer["Body"] as body:
                return await asyncio.to_thread(_examined, key, await body.read())

    return tuple(await asyncio.gather(*[read(key) async for key in _keys(store)]))


async def found_partitions(kafka: KafkaSettings, topics: Topics) -> tuple[FoundPartition, ...]:
    """Of the topics of requests and of retries: what the workers' groups have committed, and where they end."""
    waiting = [topic for tiers in topics.retries.values() for topic in tiers]
    retries, requests = (
        [each for topic in wanted for each in _partitions(topic)] for wanted in (waiting, topics.requests.values())
    )
    ends = await end_offsets(kafka, retries + requests)
    async with administration(kafka) as admin:
        committed = await admin.committed(f"{kafka.group}.retries", retries)
        committed |= await admin.committed(kafka.group, requests)
    return tuple(
        FoundPartition(topic=each.topic, partition=each.partition, committed=committed.get(each, 0), end=end)
        for each, end in ends.items()
    )


async def found_dead_letters(kafka: KafkaSettings, topic: Topic) -> AsyncIterator[FoundDeadLetter]:
    async for record in _records(kafka, topic):
        reason = dict(record.headers)[DEAD_LETTER_REASON]
        yield FoundDeadLetter(key=(record.key or b"").decode(), reason=reason.decode())


def pixels_sha256(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> str:
    """Digest of samples, whatever their file."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _examined(key: str, content: bytes) -> FoundObject:
    digest = hashlib.sha256(content).hexdigest()
    try:
        with Image.open(io.BytesIO(content)) as picture:
            pixels = np.asarray(picture)
    except (UnidentifiedImageError, OSError):
        return FoundObject(key=key, sha256=digest)
    height, width = pixels.shape[:2]
    return FoundObject(key=key, sha256=digest, width=width, height=height, pixels_sha256=pixels_sha256(pixels))


async def _keys(store: Store) -> AsyncIterator[str]:
    page: dict[str, str] = {}
    while True:
        listed = await store.s3.list_objects_v2(Bucket=store.settings.bucket, Prefix=f"{RESULTS}/", **page)
        for entry in listed.get("Contents", []):
            yield entry["Key"]
        if not listed.get("IsTruncated"):
            return
        page = {"ContinuationToken": listed["NextContinuationToken"]}


async def _records(kafka: KafkaSettings, topic: Topic) -> AsyncIterator[ConsumerRecord]:
    """All that lies on a topic now."""
    ends = await end_offsets(kafka, _partitions(topic))
    left = {partition: end for partition, end in ends.items() if end}
    if not left:
        return
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **connection_options(kafka),
    )
    try:
        await consumer.start()
        consumer.assign(tuple(left))
        while any([await consumer.position(partition) < end for partition, end in left.items()]):
            yield await consumer.getone()
    finally:
        await stop_bounded("dead letters", consumer.stop())


def _partitions(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]
