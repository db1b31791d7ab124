"""`upscale dlq` against real brokers: what is parked can be found, looked at, played again once, or dropped."""

import orjson
import pytest

from pipeline.errors import PipelineError
from pipeline.kafka.deadletter import Why
from pipeline.kafka.publish import Headers, Publisher
from pipeline.kafka.records import Received
from pipeline.settings import KafkaSettings
from schemas import topics as names
from schemas.topics import DEAD_LETTER_BYTES, Lane, Topics
from tests.support.letters import Dlq, all_of, park_all
from tests.support.requests import make_received

pytestmark = pytest.mark.integration


def value(job_id: str, tenant: str = "acme") -> bytes:
    return orjson.dumps({"job_id": job_id, "tenant": tenant, "source": "s3://bucket/key"})


def requests_of(topics: Topics, lane: Lane, *jobs: str, tenant: str = "acme", headers: Headers = ()) -> list[Received]:
    topic = topics.requests[lane].name
    return [
        make_received(
            topic=topic, lane=lane, offset=number, key=job.encode(), value=value(job, tenant), headers=headers
        )
        for number, job in enumerate(jobs)
    ]


async def test_letters_are_listed_by_filter_and_shown_whole(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each filter finds its letters, and one letter tells its reason, its job, its origin and its untouched value."""
    bulk = requests_of(topics, Lane.BULK, "b-0", "b-1", tenant="other")
    await park_all(kafka, topics, *requests_of(topics, Lane.INTERACTIVE, "a-0"), *bulk)
    await park_all(kafka, topics, make_received(value=b"\x1b[2Jnot json"), why=Why("malformed_json", "line 1"))
    tool = Dlq(kafka, capsys)

    async def listed(*words: str) -> list[object]:
        return [each["letter"] for each in await tool.json("list", *words)]

    assert await listed() == ["0/0", "0/1", "0/2", "0/3"]
    assert await listed("--reason", "malformed_json") == ["0/3"]
    assert await listed("--origin", topics.requests[Lane.BULK].name) == ["0/1", "0/2"]
    assert await listed("--tenant", "other", "--limit", "1") == ["0/1"]
    assert await listed("--job", "a-0", "--since", "1h") == ["0/0"]
    assert await listed("2", "0/3") == ["0/2", "0/3"]
    shown = (await tool.json("show", "1"))[0]
    assert (shown["job_id"], shown["reason"], shown["value"]) == ("b-0", "crash_loop", value("b-0", "other").decode())
    assert shown["origin"] == f"{topics.requests[Lane.BULK].name}/0/0"
    code, text = await tool.run("show", "3")
    assert (code, "\x1b" in text, "not json" in text) == (0, False, True)
    with pytest.raises(PipelineError, match="no letter lies at 0/9"):
        await tool.run("show", "9")


async def test_replay_sends_the_untouched_request_once_to_the_topic_of_its_lane(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Key, value and the sender's headers are as they were, ours name a new generation, and again sends nothing."""
    first = requests_of(topics, Lane.BULK, "b-0", "b-1", headers=(("theirs", b"1"), (names.ATTEMPT, b"3")))
    retried = make_received(topic=topics.retries[Lane.BULK][0].name, lane=Lane.BULK, key=b"b-2", value=value("b-2"))
    await park_all(kafka, topics, *first, retried)
    tool = Dlq(kafka, capsys)

    assert await tool.run("replay", "--all", "--dry-run") == (
        0,
        "".join(f"0/{n:<6} acme/b-{n}  -> {topics.requests[Lane.BULK].name}\n" for n in range(3))
        + "3 of 3 letters would be sent\n",
    )
    assert await tool.run("replay", "--job", "b-1") == (0, "1 of 1 letters sent\n")
    assert await tool.run("replay", "--all", "--rate", "500/s") == (0, "2 of 2 letters sent\n")
    assert await tool.run("replay", "--all") == (0, "0 of 0 letters sent\n")

    sent = {record.key: record for record in await all_of(kafka, topics.requests[Lane.BULK].name)}
    assert {key: record.value for key, record in sent.items()} == {
        f"b-{number}".encode(): value(f"b-{number}") for number in range(3)
    }
    assert sent[b"b-1"].headers == (
        ("theirs", b"1"),
        (names.ORIGIN, f"{topics.requests[Lane.BULK].name}/0/1".encode()),
        (names.REPLAY, b"1"),
    )
    assert [each["outcome"] for each in await tool.json("list", "--handled")] == ["replayed"] * 3


async def test_replay_that_was_interrupted_goes_on_with_what_is_not_marked(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever was sent by the one that was killed is not sent by the next."""
    await park_all(kafka, topics, *requests_of(topics, Lane.BULK, *(f"j-{number}" for number in range(30))))
    tool = Dlq(kafka, capsys)

    await tool.run("replay", "--limit", "12")
    assert len(await tool.json("list")) == 18
    await tool.run("replay", "--all")

    sent = [record.key for record in await all_of(kafka, topics.requests[Lane.BULK].name)]
    assert sorted(sent) == sorted(f"j-{number}".encode() for number in range(30))


async def test_dropped_letter_is_neither_listed_nor_sent(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays on its topic, and naming it again is told."""
    await park_all(kafka, topics, *requests_of(topics, Lane.BULK, "b-0", "b-1"))
    tool = Dlq(kafka, capsys)

    assert await tool.run("drop", "0", "--dry-run") == (0, "letters that would be dropped: 1\n")
    assert await tool.run("drop", "0") == (0, "letters dropped: 1\n")
    assert [each["letter"] for each in await tool.json("list")] == ["0/1"]
    assert await tool.run("replay", "--all") == (0, "1 of 1 letters sent\n")
    with pytest.raises(PipelineError, match="the letter at 0/0 was dropped already"):
        await tool.run("replay", "0")


async def test_value_that_was_too_large_to_be_parked_is_fetched_from_where_it_lies(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """A letter without its value is sent whole while its origin has it, and stays when that lies there no more."""
    topic = topics.requests[Lane.BULK].name
    async with Publisher(kafka) as publisher:
        await publisher.send(topic, key=b"big", value=b"whole", headers=(("theirs", b"1"),))
    origin = (await all_of(kafka, topic))[0]
    headers = (
        (names.DEAD_LETTER_REASON, b"too_large"),
        (names.ORIGIN_TOPIC, topic.encode()),
        (names.ORIGIN_PARTITION, str(origin.partition).encode()),
        (names.ORIGIN_OFFSET, b"0"),
        (names.ORIGIN_TIMESTAMP, origin.timestamp.isoformat().encode()),
        (names.VALUE_OMITTED, str(DEAD_LETTER_BYTES).encode()),
    )
    gone = tuple((name, b"7" if name == names.ORIGIN_OFFSET else text) for name, text in headers)
    long_ago = b"2020-01-01T00:00:00+00:00"
    another = tuple((name, long_ago if name == names.ORIGIN_TIMESTAMP else text) for name, text in headers)
    async with Publisher(kafka) as publisher:
        for each in (headers, gone, another):
            await publisher.send(topics.dead_letters.name, key=None, value=b"", headers=each)
    tool = Dlq(kafka, capsys)

    code, told = await tool.run("replay", "--all")

    assert code == 1
    assert f"its value of {DEAD_LETTER_BYTES} bytes was not parked and is no longer at {topic}" in told
    assert told.endswith("1 of 3 letters sent\n")
    again = (await all_of(kafka, topic))[-1]
    assert (again.key, again.value, again.headers[0]) == (b"big", b"whole", ("theirs", b"1"))
    assert [each["letter"] for each in await tool.json("list")] == ["0/1", "0/2"]


async def test_letter_of_a_stranger_stays(
    kafka: KafkaSettings, topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not say where it came from is not sent anywhere."""
    async with Publisher(kafka) as publisher:
        await publisher.send(topics.dead_letters.name, key=b"k", value=b"v", headers=())
    code, told = await Dlq(kafka, capsys).run("replay", "--all")
    assert (code, "it does not say which topic it came from" in told) == (1, True)
