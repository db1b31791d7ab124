"""The parts of aiokafka's consumer that the poll loop, the committer and the pauses use, following a script."""

import asyncio
from collections import deque
from collections.abc import Mapping
from types import SimpleNamespace

from aiokafka import TopicPartition

Batch = dict[TopicPartition, list[SimpleNamespace]]


def make_record(topic: str, offset: int = 0, **fields: object) -> SimpleNamespace:
    """A record as aiokafka gives it."""
    plain = {"partition": 0, "key": None, "value": b"{}", "headers": (), "timestamp": 0}
    return SimpleNamespace(topic=topic, offset=offset, **(plain | fields))


class ScriptedClient:
    """Records lie in `waiting` by partition. Each commit, and each poll of chosen partitions, first uses up one of
    `errors`, where None stands for none."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self.waiting: dict[TopicPartition, deque[SimpleNamespace]] = {each: deque() for each in partitions}
        self.errors: deque[BaseException | None] = deque()
        self.commits: list[Mapping[TopicPartition, int]] = []
        self.commit_answered = asyncio.Event()
        self.commit_answered.set()

    def assignment(self) -> set[TopicPartition]:
        return set(self.waiting)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> Batch:
        await asyncio.sleep(0)
        if partitions:
            self._raise_next()
        for partition in partitions or self.waiting:
            records = self.waiting[partition]
            if records:
                return {partition: [records.popleft() for _ in range(min(max_records, len(records)))]}
        return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self.commit_answered.wait()
        self._raise_next()
        self.commits.append(offsets)

    def _raise_next(self) -> None:
        error = self.errors.popleft() if self.errors else None
        if error is not None:
            raise error
