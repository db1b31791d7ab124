"""Comparing topics with their declaration, and reading what the broker answers."""

from collections import deque

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.structs import OffsetAndMetadata

from pipeline.errors import ServiceUnreachable
from pipeline.kafka.admin import Admin, Standing, TopicFacts, TopicRefused, compare, created_names, lag, new_topic
from pipeline.settings import KafkaSettings
from schemas.topics import Topic

TOPIC = Topic("requests", partitions=16, retention_ms=60_000)


@pytest.mark.parametrize(
    ("found", "standing", "detail"),
    [
        (None, Standing.MISSING, "declared with 16 partitions"),
        (TopicFacts(1, 3), Standing.DIFFERS, "has 1 partition, declared with 16"),
        (TopicFacts(16, 1), Standing.DIFFERS, "has 1 copies of a partition, declared with 3"),
        (TopicFacts(16, 3), Standing.OK, "16 partitions"),
        (TopicFacts(32, 5), Standing.OK, "32 partitions"),
    ],
)
def test_topic_differs_when_it_has_less_than_declared(
    found: TopicFacts | None, standing: Standing, detail: str
) -> None:
    """Fewer partitions bound the workers, fewer copies risk the data; more of either does no harm."""
    report = compare(TOPIC, found, replication_factor=3)
    assert (report.name, report.standing, report.detail) == ("requests", standing, detail)


def test_topic_is_requested_as_declared() -> None:
    """Partitions and retention come from the declaration, copies from the settings."""
    requested = new_topic(TOPIC, replication_factor=3)
    assert (requested.name, requested.num_partitions, requested.replication_factor) == ("requests", 16, 3)
    assert requested.topic_configs == {"retention.ms": "60000"}


def test_size_limit_of_a_topic_is_requested_only_where_it_is_declared() -> None:
    """Where it is not, what the operator of the broker thinks right stays."""
    limited = new_topic(Topic("dead", partitions=1, retention_ms=60_000, max_message_bytes=5), replication_factor=1)
    assert limited.topic_configs == {"retention.ms": "60000", "max.message.bytes": "5"}


def test_topic_that_somebody_else_created_meanwhile_is_no_error() -> None:
    """Two processes may start at once."""
    assert created_names([("a", 0), ("b", 36)]) == {"a"}


def test_topic_that_the_broker_refuses_is_named_with_the_reason() -> None:
    """The client does not raise for an error code in the answer; we do."""
    with pytest.raises(TopicRefused, match="topic b: the broker refused to create it: InvalidReplicationFactorError"):
        created_names([("a", 0), ("b", 38)])


def test_lag_counts_what_is_not_committed() -> None:
    """A group that has committed nothing lags by everything, and never by less than nothing."""
    first, second, third = (TopicPartition("requests", number) for number in range(3))
    assert lag({first: 10, second: 4, third: 2}, {first: 7, third: 5}) == {first: 3, second: 4, third: 0}


class ScriptedOffsets:
    """aiokafka's administration, whose answers about a group follow a script; the last one is given for ever."""

    def __init__(self, *answers: dict[TopicPartition, OffsetAndMetadata] | Exception) -> None:
        self._answers = deque(answers)

    async def list_consumer_group_offsets(
        self, _: str, *, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {each: found for each, found in answer.items() if each in partitions}


@pytest.mark.parametrize(
    "first",
    [GroupCoordinatorNotAvailableError(), GroupLoadInProgressError(), NotCoordinatorForGroupError(), {}],
    ids=["none yet", "loading", "moved", "error that the client overlooks"],
)
async def test_committed_offsets_are_asked_for_again_while_nobody_knows_them(
    first: dict[TopicPartition, OffsetAndMetadata] | Exception,
) -> None:
    """The first group of a new cluster, and every group whose broker was lost, goes through this."""
    done, untouched = TopicPartition("requests", 0), TopicPartition("requests", 1)
    known = {done: OffsetAndMetadata(7, ""), untouched: OffsetAndMetadata(-1, "")}
    admin = Admin(ScriptedOffsets(first, known), KafkaSettings())  # type: ignore[arg-type]  # what it uses of it
    assert await admin.committed("group", [done, untouched]) == {done: 7}


async def test_committed_offsets_that_nobody_ever_knows_are_an_outage() -> None:
    """Bounded as every request is."""
    settings = KafkaSettings(request_timeout_ms=50, rebalance_timeout_ms=40, revoke_budget_seconds=0.01)
    admin = Admin(ScriptedOffsets({}), settings)  # type: ignore[arg-type]  # what it uses of it
    with pytest.raises(ServiceUnreachable, match="the request failed with TimeoutError"):
        await admin.committed("group", [TopicPartition("requests", 0)])
