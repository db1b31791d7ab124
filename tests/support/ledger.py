"""The plainest ledger that satisfies the consumer: enough to see what is committed."""

from collections.abc import Iterable, Mapping

from pipeline.kafka.commits import Partition
from pipeline.kafka.records import Position


class PlainLedger:
    """Finished prefixes of one epoch, in sets."""

    def __init__(self) -> None:
        self.epoch = 0
        self.assigned: set[Partition] = set()
        self.started: dict[Partition, list[int]] = {}
        self.finished: set[tuple[Partition, int]] = set()
        self.known: dict[Partition, int] = {}

    def assign(self, partitions: Iterable[Partition], epoch: int) -> None:
        self.revoke()
        self.assigned, self.epoch = set(partitions), epoch

    def revoke(self) -> None:
        self.assigned, self.started, self.finished, self.known = set(), {}, set(), {}

    def start(self, position: Position) -> None:
        self.started.setdefault((position.topic, position.partition), []).append(position.offset)

    def finish(self, position: Position) -> None:
        if position.epoch == self.epoch:
            self.finished.add(((position.topic, position.partition), position.offset))

    def commitable(self) -> Mapping[Partition, int]:
        watermarks = {partition: self._watermark(partition, offsets) for partition, offsets in self.started.items()}
        return {
            partition: mark
            for partition, mark in watermarks.items()
            if mark > self.known.get(partition, self.started[partition][0])
        }

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        self.known |= offsets

    def _watermark(self, partition: Partition, offsets: list[int]) -> int:
        return next((each for each in offsets if (partition, each) not in self.finished), offsets[-1] + 1)
