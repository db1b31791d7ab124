"""The consumer and its group, against a real broker."""

import asyncio
from time import monotonic

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from pipeline.errors import ServiceUnreachable
from pipeline.kafka.consume import Consumer
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.settings import KafkaSettings
from pipeline.telemetry import metrics
from schemas.codec import Message
from schemas.topics import Lane, Topics
from tests.support.streams import committed, consuming, lane_of, put, take, until_committed
from tests.support.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def requests(topics: Topics) -> str:
    """The topic of interactive requests."""
    return topics.requests[Lane.INTERACTIVE].name


def assigned(consumer: Consumer) -> set[TopicPartition]:
    """What is ours now; before a rebalance has ended, what was."""
    assert consumer._client is not None
    return set(consumer._client.assignment())


async def test_consumer_receives_what_the_publisher_sent(kafka: KafkaSettings, topics: Topics) -> None:
    """Key, value and headers arrive unchanged, with the lane of the topic they were sent to."""
    message = Message(b"job-1", b'{"source":"https://example.org/a.png"}', (("ce_id", b"1"),))
    async with Publisher(kafka) as publisher:
        await publisher.publish(topics.requests[Lane.BULK].name, message, headers=(("traceparent", b"00-1"),))
    async with consuming(kafka, topics) as consumer:
        record = await anext(lane_of(consumer, Lane.BULK))
    assert (record.key, record.value, record.lane) == (message.key, message.value, Lane.BULK)
    assert record.headers == (("ce_id", b"1"), ("traceparent", b"00-1"))


async def test_consumer_commits_only_the_finished_prefix(kafka: KafkaSettings, topics: Topics, requests: str) -> None:
    """A record that is still worked on holds back the commit of those after it, and of nothing before it."""
    await put(kafka, requests, b"a", b"b", b"c")
    async with consuming(kafka, topics) as consumer:
        first, second, third = await take(consumer, 3)
        consumer.finish(first.position)
        consumer.finish(third.position)
        await until_committed(kafka, requests, lambda offsets: offsets == {first.position.partition: 1})
        consumer.finish(second.position)
    assert await committed(kafka, requests) == {first.position.partition: 3}


async def test_request_in_work_is_delivered_again_when_its_worker_is_lost(
    kafka: KafkaSettings, topics: Topics, requests: str
) -> None:
    """A worker that vanishes takes nothing with it but what it had finished."""
    await put(kafka, requests, b"done", b"lost")
    taken = asyncio.Event()

    async def worker() -> None:
        async with consuming(kafka, topics) as consumer:
            done, _ = await take(consumer, 2)
            consumer.finish(done.position)
            taken.set()
            await asyncio.Event().wait()

    lost = asyncio.create_task(worker())
    await taken.wait()
    lost.cancel()
    await asyncio.wait({lost})
    async with consuming(kafka, topics) as consumer:
        assert (await anext(lane_of(consumer, Lane.INTERACTIVE))).value == b"lost"


async def test_paused_consumer_hands_out_nothing_and_stays_a_member(
    kafka: KafkaSettings, topics: Topics, requests: str
) -> None:
    """A pause may outlast the session: polling goes on, so the partitions stay ours."""
    async with consuming(kafka, topics) as consumer:
        held = assigned(consumer)
        consumer.pause()
        await put(kafka, requests, b"later")
        record = asyncio.create_task(take(consumer, 1))
        paused = monotonic()

        async def outlasted() -> bool:
            await put(kafka, topics.events.name, b"tick")
            return consumer.last_poll - paused > 1.5 * kafka.session_timeout_ms / 1000

        await until(outlasted)
        assert assigned(consumer) == held
        assert not record.done()
        consumer.resume()
        [received] = await record
        assert (received.value, received.position.epoch) == (b"later", 1)


async def test_pause_outlives_a_rebalance(kafka: KafkaSettings, topics: Topics, requests: str) -> None:
    """The client library forgets pauses when partitions are assigned anew; the consumer does not."""
    async with consuming(kafka, topics) as paused:
        paused.pause()
        before = assigned(paused)
        async with consuming(kafka, topics):

            async def rebalanced() -> bool:
                await put(kafka, topics.events.name, b"tick")
                return assigned(paused) not in (set(), before)

            await until(rebalanced)
            await put(kafka, requests, *(b"%d" % number for number in range(8)), key=None)
            polled = paused.last_poll

            async def polled_again() -> bool:
                await put(kafka, topics.events.name, b"tick")
                return paused.last_poll > polled + 0.5

            record = asyncio.create_task(take(paused, 1))
            await until(polled_again)
            assert not record.done()
            paused.resume()
            [received] = await record
            assert received.position.epoch == 2


async def test_consumer_that_nobody_reads_from_stops_fetching_and_then_goes_on(
    kafka: KafkaSettings, topics: Topics, requests: str
) -> None:
    """Memory is bounded by the hand-off and not by the backlog, and the pause loses and repeats nothing."""
    values = [b"%d" % number for number in range(50)]
    await put(kafka, requests, *values)
    async with consuming(kafka, topics, capacity=4) as consumer:

        async def paused() -> bool:
            await put(kafka, topics.events.name, b"tick")
            return metrics.INTAKE_PAUSED.labels(Lane.INTERACTIVE)._value.get() == 1

        await until(paused)
        assert len(consumer._handoffs[requests]._records) == 4
        assert [record.value for record in await take(consumer, 50)] == values
        assert metrics.INTAKE_PAUSED.labels(Lane.INTERACTIVE)._value.get() == 0


async def test_two_consumers_share_the_requests_and_lose_none_when_one_joins_late(
    kafka: KafkaSettings, topics: Topics, requests: str
) -> None:
    """Whatever moves between members in a rebalance is finished by one of them, and everything ends committed."""
    values = {b"%d" % number for number in range(60)}
    seen: list[Received] = []
    all_seen = asyncio.Event()
    half_seen = asyncio.Event()

    async def worker() -> None:
        async with consuming(kafka, topics, capacity=2) as consumer:
            async for record in lane_of(consumer, Lane.INTERACTIVE):
                seen.append(record)
                consumer.finish(record.position)
                half_seen.set()
                if {each.value for each in seen} == values:
                    all_seen.set()

    await put(kafka, requests, *sorted(values)[:30], key=None)
    first = asyncio.create_task(worker())
    await half_seen.wait()
    second = asyncio.create_task(worker())
    await put(kafka, requests, *sorted(values)[30:], key=None)
    async with asyncio.timeout(60):
        await all_seen.wait()
        await until_committed(kafka, requests, lambda offsets: sum(offsets.values()) == len(values))
    for task in (first, second):
        task.cancel()
    await asyncio.wait({first, second})


async def test_record_that_cannot_be_read_holds_up_its_own_partition_only(
    kafka: KafkaSettings, topics: Topics, requests: str
) -> None:
    """Records before it are not lost, records elsewhere flow on, and nothing behind it is passed over in silence."""
    await put_unreadable(kafka, requests, partition=0, before=[b"before"])
    async with consuming(kafka, topics) as consumer:
        assert (await anext(lane_of(consumer, Lane.INTERACTIVE))).value == b"before"
        await put(kafka, topics.requests[Lane.BULK].name, b"elsewhere")
        assert (await anext(lane_of(consumer, Lane.BULK))).value == b"elsewhere"


async def put_unreadable(settings: KafkaSettings, topic: str, *, partition: int, before: list[bytes]) -> None:
    """One batch: `before`, then a record whose header's name is not UTF-8."""

    class NotUtf8(str):
        def encode(self, *_: str) -> bytes:
            return b"\xff"

    producer = AIOKafkaProducer(bootstrap_servers=settings.servers)
    await producer.start()
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 16384)
    for value in before:
        batch.append(key=None, value=value, timestamp=None)
    batch._builder.append(len(before), None, None, b"poison", [(NotUtf8("x"), b"")])
    batch._relative_offset += 1
    await (await producer.send_batch(batch, topic, partition=partition))
    await producer.stop()


async def test_reader_learns_that_polling_has_failed_for_good(kafka: KafkaSettings, topics: Topics) -> None:
    """A worker that will get no more records says so and ends, instead of waiting and looking alive."""

    async def fails(*_: object, **__: object) -> None:
        raise KafkaConnectionError("gone")

    async with consuming(kafka, topics) as consumer:
        assert consumer._client is not None
        consumer._poller._give_up_seconds = 0
        consumer._client.getmany = fails
        with pytest.raises(ServiceUnreachable, match="polling has failed for 0 s: KafkaConnectionError"):
            await anext(lane_of(consumer, Lane.BULK))


async def test_iteration_ends_when_the_consumer_is_left(kafka: KafkaSettings, topics: Topics) -> None:
    """Whoever still reads is answered."""

    async def read_all(consumer: Consumer) -> int:
        return len([record async for record in lane_of(consumer, Lane.BULK)])

    async with consuming(kafka, topics) as consumer:
        reader = asyncio.create_task(read_all(consumer))
        await asyncio.sleep(0)
    assert await reader == 0


async def test_lane_that_nobody_reads_holds_up_no_other(kafka: KafkaSettings, topics: Topics, requests: str) -> None:
    """An interactive request arrives although bulk records fill their hand-off and more of them wait."""
    await put(kafka, topics.requests[Lane.BULK].name, *(b"%d" % number for number in range(50)))
    async with consuming(kafka, topics, capacity=4) as consumer:

        async def full() -> bool:
            await put(kafka, topics.events.name, b"tick")
            return metrics.INTAKE_PAUSED.labels(Lane.BULK)._value.get() == 1

        await until(full)
        await put(kafka, requests, b"urgent")
        assert (await anext(lane_of(consumer, Lane.INTERACTIVE))).value == b"urgent"


async def test_retries_that_wait_long_hold_up_none_that_is_due(kafka: KafkaSettings, topics: Topics) -> None:
    """Of one lane too: what nobody has a place for yet is paused alone, and intake is not said to be paused."""
    soon, *_, late = (topic.name for topic in topics.retries[Lane.BULK])
    metrics.INTAKE_PAUSED.labels(Lane.BULK).set(0)
    await put(kafka, late, *(b"%d" % number for number in range(50)))
    async with asyncio.timeout(60), Consumer(kafka, topics.retry_lanes, OffsetLedger(), capacity=4) as consumer:

        async def full() -> bool:
            await put(kafka, topics.events.name, b"tick")
            return {each.topic for each in consumer._client.paused()} == {late} if consumer._client else False

        await until(full)
        await put(kafka, soon, b"due")
        assert (await anext(consumer.topic(soon))).value == b"due"
    assert metrics.INTAKE_PAUSED.labels(Lane.BULK)._value.get() == 0
