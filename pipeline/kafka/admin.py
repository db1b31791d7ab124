"""Topics as schemas/topics.py declares them: create, compare, and how far groups have read."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)

from pipeline.errors import PipelineError
from pipeline.kafka.connection import answering_servers, connect, connection_options, stop_bounded, unreachable
from pipeline.settings import KafkaSettings
from schemas.topics import Topic

TOPIC_EXISTS = 36
"""Kafka's error code TOPIC_ALREADY_EXISTS."""
UNSETTLED = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""What is answered of a group while its coordinator is being made or moved."""
UNSETTLED_SECONDS = 0.1


class Standing(StrEnum):
    """How a topic compares with its declaration."""

    OK = "ok"
    CREATED = "created"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic, compared."""

    name: str
    standing: Standing
    detail: str


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What the broker says of a topic."""

    partitions: int
    replicas: int
    """Copies of the partition that has fewest."""


class TopicRefused(PipelineError):
    """The broker did not create a topic; the text names it and the broker's reason."""


class TopicsMissing(PipelineError):
    """Topics we read from do not exist; the text names them and the command that makes them."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"missing on the broker: {', '.join(sorted(names))}; `upscale topics create` makes them")


class Admin:
    """The broker's administration; made by `administration`."""

    def __init__(self, client: AIOKafkaAdminClient, settings: KafkaSettings) -> None:
        self._client = client
        self._settings = settings

    async def create(self, topics: Iterable[Topic]) -> list[TopicReport]:
        """Create what is missing and leave the rest as it is. Raises `TopicRefused`, `ServiceUnreachable`."""
        wanted = list(topics)
        found = await self.facts()
        missing = [topic for topic in wanted if topic.name not in found]
        created = await self._create(missing) if missing else frozenset[str]()
        found = await self._known(created)
        return [
            TopicReport(topic.name, Standing.CREATED, _size(topic.partitions))
            if topic.name in created
            else compare(topic, found.get(topic.name), self._settings.replication_factor)
            for topic in wanted
        ]

    async def _known(self, created: frozenset[str]) -> dict[str, TopicFacts]:
        """What there is, once every broker that may be asked has heard of what was created a moment ago."""
        async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
            while not created <= (found := await self.facts()).keys():
                continue
        return found

    async def check(self, topics: Iterable[Topic]) -> list[TopicReport]:
        """Compare without changing anything. Raises `ServiceUnreachable`."""
        found = await self.facts()
        return [compare(topic, found.get(topic.name), self._settings.replication_factor) for topic in topics]

    async def require(self, names: Iterable[str]) -> None:
        """Raises `TopicsMissing` unless all of these topics exist, and `ServiceUnreachable`."""
        missing = set(names) - set(await self.facts())
        if missing:
            raise TopicsMissing(missing)

    async def facts(self) -> dict[str, TopicFacts]:
        """Every topic there is. Asks for all: asking for one by name may create it."""
        async with translated(self._settings):
            described = await self._client.describe_topics()
        return {
            topic["topic"]: TopicFacts(
                partitions=len(topic["partitions"]),
                replicas=min((len(partition["replicas"]) for partition in topic["partitions"]), default=0),
            )
            for topic in described
        }

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offsets `group` has committed; partitions without one are left out. Raises `ServiceUnreachable`.

        Asked again until the group has a coordinator that knows: a cluster whose first group this is has none yet,
        and one that moves to another broker reads its offsets first.
        """
        wanted = list(partitions)
        async with translated(self._settings), asyncio.timeout(self._settings.request_timeout_ms / 1000):
            while (offsets := await self._offsets(group, wanted)) is None:  # noqa: ASYNC110  only the broker knows
                await asyncio.sleep(UNSETTLED_SECONDS)
        return {partition: offset for partition, offset in offsets.items() if offset >= 0}

    async def _offsets(self, group: str, wanted: list[TopicPartition]) -> dict[TopicPartition, int] | None:
        """By partition, -1 where nothing is committed; None while nobody knows."""
        try:
            # Without the list of partitions some brokers answer what aiokafka cannot read.
            found = await self._client.list_consumer_group_offsets(group, partitions=wanted)
        except UNSETTLED:
            return None
        # aiokafka overlooks an error that is told for the group as a whole; such an answer lists no partition.
        return {partition: answer.offset for partition, answer in found.items()} if found or not wanted else None

    async def _create(self, topics: list[Topic]) -> frozenset[str]:
        """The names that did not exist a moment ago and now do."""
        requests = [new_topic(topic, self._settings.replication_factor) for topic in topics]
        async with translated(self._settings):
            response = await self._client.create_topics(requests)
        return created_names([(name, code) for name, code, *_ in response.topic_errors])


@asynccontextmanager
async def administration(settings: KafkaSettings) -> AsyncIterator[Admin]:
    """Connect to the broker's administration. Raises `ServiceUnreachable`."""
    options = connection_options(settings)
    client = AIOKafkaAdminClient(bootstrap_servers=await answering_servers(settings), **options)
    try:
        await connect(settings, client.start())
        yield Admin(client, settings)
    finally:
        await stop_bounded("admin", client.close())


@asynccontextmanager
async def translated(settings: KafkaSettings) -> AsyncIterator[None]:
    """A broker that was there and is not any more."""
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        raise unreachable(settings, f"the request failed with {type(error).__name__}") from error


def new_topic(topic: Topic, replication_factor: int) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=replication_factor,
        topic_configs={name: str(value) for name, value in topic.configuration.items()},
    )


def created_names(outcomes: Iterable[tuple[str, int]]) -> frozenset[str]:
    """The topics of a creation's outcomes that were created now. Raises `TopicRefused` for any refusal.

    The client does not raise for an error code in the answer; one that says `exists` means another was faster.
    """
    created = set()
    for name, code in outcomes:
        if code == 0:
            created.add(name)
        elif code != TOPIC_EXISTS:
            raise TopicRefused(f"topic {name}: the broker refused to create it: {for_code(code).__name__}")
    return frozenset(created)


def compare(topic: Topic, found: TopicFacts | None, replication_factor: int) -> TopicReport:
    """Fewer partitions or copies than declared is a difference; more is not."""
    if found is None:
        return TopicReport(topic.name, Standing.MISSING, f"declared with {_size(topic.partitions)}")
    if found.partitions < topic.partitions:
        detail = f"has {_size(found.partitions)}, declared with {topic.partitions}"
        return TopicReport(topic.name, Standing.DIFFERS, detail)
    if found.replicas < replication_factor:
        detail = f"has {found.replicas} copies of a partition, declared with {replication_factor}"
        return TopicReport(topic.name, Standing.DIFFERS, detail)
    return TopicReport(topic.name, Standing.OK, _size(found.partitions))


def _size(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def lag(ends: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Records not yet committed, by partition; a group that has committed nothing has all before it."""
    return {partition: max(0, end - committed.get(partition, 0)) for partition, end in ends.items()}
