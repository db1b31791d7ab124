"""Committing what the ledger says, against a client that follows a script."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError

from pipeline.kafka.commits import Commits
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.records import Position
from tests.support.kafka import ScriptedClient

PARTITION = TopicPartition("requests", 0)


@pytest.fixture
def ledger() -> OffsetLedger:
    """One record handed out and finished in epoch 1."""
    ledger = OffsetLedger()
    ledger.assign([("requests", 0)], 1)
    position = Position("requests", 0, 4, 1)
    ledger.start(position)
    ledger.finish(position)
    return ledger


@pytest.fixture
async def client() -> ScriptedClient:
    return ScriptedClient(PARTITION)


def commits(ledger: OffsetLedger, *, epoch: int = 1, timeout_seconds: float = 20) -> Commits:
    return Commits(ledger, lambda: epoch, timeout_seconds=timeout_seconds)


async def test_commit_sends_the_finished_prefix_once(ledger: OffsetLedger, client: ScriptedClient) -> None:
    """What the broker has taken is not sent again."""
    committer = commits(ledger)
    await committer.commit(client)
    await committer.commit(client)
    assert client.commits == [{PARTITION: 5}]


@pytest.mark.parametrize("error", [CommitFailedError("rebalanced"), KafkaConnectionError("gone")])
async def test_commit_that_fails_is_due_again_and_raises_nothing(
    ledger: OffsetLedger, client: ScriptedClient, error: Exception
) -> None:
    """A refused commit is no reason to stop working; the next one carries the same offsets."""
    client.errors.append(error)
    committer = commits(ledger)
    await committer.commit(client)
    assert client.commits == []
    await committer.commit(client)
    assert client.commits == [{PARTITION: 5}]


async def test_commit_that_is_not_answered_ends_at_its_timeout(ledger: OffsetLedger, client: ScriptedClient) -> None:
    """A broker that hangs holds up neither a revocation nor a shutdown."""
    client.commit_answered.clear()
    await commits(ledger, timeout_seconds=0.01).commit(client)
    assert client.commits == []
    assert ledger.commitable() == {("requests", 0): 5}


async def test_commit_answered_after_a_rebalance_tells_the_new_epoch_nothing(
    ledger: OffsetLedger, client: ScriptedClient
) -> None:
    """Offsets of an assignment that is over are no statement about the present one."""
    epochs = iter([1, 2])
    committer = Commits(ledger, lambda: next(epochs), timeout_seconds=20)
    await committer.commit(client)
    assert ledger.commitable() == {("requests", 0): 5}


async def test_commits_never_overtake_one_another(ledger: OffsetLedger, client: ScriptedClient) -> None:
    """The offsets are read when it is their turn, so that a slow commit cannot bring an older one after a newer."""
    client.commit_answered.clear()
    committer = commits(ledger)
    first, second = asyncio.create_task(committer.commit(client)), asyncio.create_task(committer.commit(client))
    await asyncio.sleep(0)
    client.commit_answered.set()
    await asyncio.gather(first, second)
    assert client.commits == [{PARTITION: 5}]


async def test_committer_commits_once_more_when_it_is_stopped(ledger: OffsetLedger, client: ScriptedClient) -> None:
    """What was finished since the last commit is not left to be repeated by others."""
    stopping = asyncio.Event()
    task = asyncio.create_task(commits(ledger).every(60, client, stopping))
    await asyncio.sleep(0)
    stopping.set()
    await task
    assert client.commits == [{PARTITION: 5}]
