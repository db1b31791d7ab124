"""Finished work -> committed offsets: never past an unfinished record, never for partitions that are gone."""

import asyncio
from collections.abc import Callable
from time import time

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from pipeline.kafka.offsets import OffsetLedger
from pipeline.patience import wait_until
from pipeline.telemetry import metrics

log = structlog.get_logger(__name__)


class Commits:
    """Commits what the ledger says, one commit at a time, each bounded by `timeout_seconds`."""

    def __init__(self, ledger: OffsetLedger, epoch: Callable[[], int], *, timeout_seconds: float) -> None:
        self._ledger = ledger
        self._epoch = epoch
        self._timeout_seconds = timeout_seconds
        self._one_at_a_time = asyncio.Lock()

    async def commit(self, client: AIOKafkaConsumer) -> None:
        """Commit the finished prefix. Raises nothing: what could not be committed is due again next time.

        aiokafka tries retriable errors again without limit, hence the timeout.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds), self._one_at_a_time:
                await self._commit(client)
        except CommitFailedError:
            # Others have our partitions now, or will soon; the rebalance that follows clears the ledger.
            log.info("commit_refused")
        except (KafkaError, TimeoutError) as error:
            log.warning("commit_failed", error=type(error).__name__)

    async def every(self, seconds: float, client: AIOKafkaConsumer, stopping: asyncio.Event) -> None:
        """Commit again and again until `stopping`."""
        while not stopping.is_set():
            await wait_until(stopping, seconds)
            await self.commit(client)

    async def _commit(self, client: AIOKafkaConsumer) -> None:
        epoch, offsets = self._epoch(), self._ledger.commitable()
        if not offsets:
            return
        await client.commit({TopicPartition(*partition): offset for partition, offset in offsets.items()})
        metrics.LAST_COMMIT.set(time())
        if self._epoch() == epoch:
            self._ledger.committed(offsets)
