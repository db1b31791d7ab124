"""What happens to the ledger and the hand-off when partitions come and go."""

from aiokafka import TopicPartition

from pipeline.kafka.handoff import Handoff
from pipeline.kafka.membership import Membership
from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.records import Position
from tests.support.requests import make_received

PARTITION = TopicPartition("requests", 0)


class Scene:
    """A membership whose commits record what the ledger would have committed at that moment."""

    def __init__(self) -> None:
        self.ledger = OffsetLedger()
        self.handoff = Handoff(4)
        self.committed: list[dict[tuple[str, int], int]] = []
        self.told = 0
        self.membership = Membership(self.ledger, self.handoff.drop, commit=self.commit, assigned=self.assigned)

    async def commit(self) -> None:
        self.committed.append(self.ledger.commitable())

    def assigned(self) -> None:
        self.told += 1


async def test_each_assignment_is_an_epoch_and_is_announced() -> None:
    """Pauses are re-applied on each assignment, and its positions are told apart from earlier ones."""
    scene = Scene()
    for epoch in (1, 2):
        scene.membership.on_partitions_assigned({PARTITION})
        assert (scene.membership.epoch, scene.told) == (epoch, epoch)


async def test_revocation_commits_what_is_finished_before_it_forgets() -> None:
    """Whoever gets the partitions next starts behind our finished work."""
    scene = Scene()
    scene.membership.on_partitions_assigned({PARTITION})
    position = Position("requests", 0, 7, 1)
    scene.ledger.start(position)
    scene.ledger.finish(position)
    await scene.membership.on_partitions_revoked({PARTITION})
    assert scene.committed == [{("requests", 0): 8}]
    assert scene.ledger.commitable() == {}


async def test_revocation_drops_the_records_that_nobody_has_taken() -> None:
    """They belong to others now; working on them would be waste."""
    scene = Scene()
    scene.handoff.put(make_received())
    await scene.membership.on_partitions_revoked({PARTITION})
    assert scene.handoff.drop() == 0


async def test_work_that_ends_after_a_revocation_is_never_committed() -> None:
    """It goes on detached; its position belongs to an epoch that is over, even if the partition came back."""
    scene = Scene()
    scene.membership.on_partitions_assigned({PARTITION})
    late = Position("requests", 0, 7, scene.membership.epoch)
    scene.ledger.start(late)
    await scene.membership.on_partitions_revoked({PARTITION})
    scene.membership.on_partitions_assigned({PARTITION})
    scene.ledger.finish(late)
    assert scene.ledger.commitable() == {}
