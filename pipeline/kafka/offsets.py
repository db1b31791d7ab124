"""OffsetLedger: what may be committed when records finish out of order. Pure: no broker, no clock, no waiting."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.kafka.records import Position

Partition = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class _Progress:
    """One partition during one assignment. Offsets may have holes (compaction, transactions): only seen ones count."""

    following: int
    """One more than the highest offset handed out."""
    committed: int
    """What the broker is known to hold; at first the offset where this assignment began to read."""
    in_flight: set[int] = field(default_factory=set)

    @property
    def watermark(self) -> int:
        """The next offset to read if the worker died now."""
        return min(self.in_flight, default=self.following)


class OffsetLedger:
    """Which records of the partitions we hold are handed out and unfinished.

    Positions of another epoch, or of a partition that is not ours, are ignored: late completions never commit. After
    the log was cut short the broker may hand out an offset again; what is committed still does not go back.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._ours: frozenset[Partition] = frozenset()
        self._progress: dict[Partition, _Progress] = {}

    def assign(self, partitions: Iterable[Partition], epoch: int) -> None:
        """Begin an assignment with nothing in flight. Raises `ValueError` unless `epoch` is later than the last."""
        if self._epoch is not None and epoch <= self._epoch:
            raise ValueError(f"epoch: must be later than {self._epoch}, got {epoch}")
        self._epoch, self._ours, self._progress = epoch, frozenset(partitions), {}

    def revoke(self) -> None:
        """End the assignment: its records go to whoever gets the partitions next."""
        self._ours, self._progress = frozenset(), {}

    def start(self, position: Position) -> None:
        """A record was handed out."""
        if not self._is_ours(position):
            return
        progress = self._progress.setdefault(_partition(position), _Progress(position.offset, position.offset))
        progress.in_flight.add(position.offset)
        progress.following = max(progress.following, position.offset + 1)

    def finish(self, position: Position) -> None:
        """A record's work is done for good. Once is enough; a record that was never started is ignored."""
        progress = self._progress.get(_partition(position))
        if progress is not None and self._is_ours(position):
            progress.in_flight.discard(position.offset)

    def commitable(self) -> dict[Partition, int]:
        """Per partition whose finished prefix grew since the last commit: the next offset to read."""
        return {
            partition: progress.watermark
            for partition, progress in self._progress.items()
            if progress.watermark > progress.committed
        }

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """The broker has taken these, under the current assignment. Partitions that are gone are ignored."""
        for partition, offset in offsets.items():
            progress = self._progress.get(partition)
            if progress is not None:
                progress.committed = max(progress.committed, offset)

    def watermark(self, partition: Partition) -> int | None:
        """The first offset that is not finished; None while nothing was handed out under this assignment."""
        progress = self._progress.get(partition)
        return progress.watermark if progress else None

    def _is_ours(self, position: Position) -> bool:
        return position.epoch == self._epoch and _partition(position) in self._ours


def _partition(position: Position) -> Partition:
    return position.topic, position.partition
