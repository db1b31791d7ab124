"""What this member of the group holds: learns of every rebalance and keeps ledger and hand-offs in step with it."""

from collections.abc import Awaitable, Callable

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from pipeline.kafka.offsets import OffsetLedger
from pipeline.telemetry import metrics

log = structlog.get_logger(__name__)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Counts assignments as epochs.

    The group waits for `on_partitions_revoked`, so it is bounded by what `commit` is bounded by. Neither callback
    raises, because aiokafka would swallow it, nor polls, because that would wait for this very rebalance. Work in
    progress is not cancelled: it finishes detached, and its positions belong to an epoch that is over.
    """

    def __init__(
        self,
        ledger: OffsetLedger,
        drop: Callable[[], int],
        *,
        commit: Callable[[], Awaitable[None]],
        assigned: Callable[[], None],
    ) -> None:
        self.epoch = 0
        self._ledger = ledger
        self._drop = drop
        self._commit = commit
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Stop handing out, commit what is finished, forget the rest."""
        dropped = self._drop()
        await self._commit()
        self._ledger.revoke()
        log.info("partitions_revoked", partitions=len(revoked), epoch=self.epoch, dropped=dropped)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin an epoch. Runs before the first fetch of the new partitions."""
        self.epoch += 1
        self._ledger.assign(((each.topic, each.partition) for each in assigned), self.epoch)
        self._assigned()
        metrics.REBALANCES.inc()
        log.info("partitions_assigned", partitions=len(assigned), epoch=self.epoch)
