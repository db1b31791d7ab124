"""The ledger under any interleaving of starts, finishes, rebalances and commits."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pipeline.kafka.offsets import OffsetLedger, Partition
from pipeline.kafka.records import Position

PARTITIONS: list[Partition] = [("requests", 0), ("bulk", 0)]


class LedgerMachine(RuleBasedStateMachine):
    """A broker that remembers commits, and a consumer that reads on from them after each rebalance."""

    handed_out = Bundle("handed_out")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = OffsetLedger()
        self.epoch = 0
        self.broker = dict.fromkeys(PARTITIONS, 0)
        self.next_read: dict[Partition, int] = {}
        self.unfinished: set[Position] = set()
        self.begin(PARTITIONS)

    def begin(self, partitions: list[Partition]) -> None:
        self.epoch += 1
        self.next_read = {partition: self.broker[partition] for partition in partitions}
        self.unfinished.clear()
        self.ledger.assign(partitions, self.epoch)

    @rule(target=handed_out, index=st.integers(0, 1), hole=st.sampled_from([0, 0, 0, 2]))
    def start(self, index: int, hole: int) -> Position:
        partition = PARTITIONS[index]
        offset = self.next_read.get(partition, 0) + hole
        position = Position(*partition, offset, self.epoch)
        if partition in self.next_read:
            self.next_read[partition] = offset + 1
            self.unfinished.add(position)
        self.ledger.start(position)
        return position

    @rule(position=consumes(handed_out))
    def finish(self, position: Position) -> None:
        self.ledger.finish(position)
        self.unfinished.discard(position)

    @rule(taken=st.booleans())
    def commit(self, taken: bool) -> None:
        for partition, offset in self.ledger.commitable().items():
            assert offset > self.broker[partition], "a commit goes back, or repeats"
            assert partition in self.next_read, "a partition that is not ours is committed"
            if taken:
                self.broker[partition] = offset
                self.ledger.committed({partition: offset})

    @rule(partitions=st.sampled_from([PARTITIONS, PARTITIONS, PARTITIONS[:1], []]), revoked_first=st.booleans())
    def rebalance(self, partitions: list[Partition], revoked_first: bool) -> None:
        if revoked_first:
            self.ledger.revoke()
            assert self.ledger.commitable() == {}
        self.begin(partitions)

    @invariant()
    def commits_never_pass_an_unfinished_record(self) -> None:
        commitable = self.ledger.commitable()
        for position in self.unfinished:
            partition = (position.topic, position.partition)
            assert commitable.get(partition, 0) <= position.offset
            assert self.broker[partition] <= position.offset

    @invariant()
    def watermark_is_the_first_of_the_unfinished(self) -> None:
        for partition in PARTITIONS:
            offsets = [p.offset for p in self.unfinished if (p.topic, p.partition) == partition]
            watermark = self.ledger.watermark(partition)
            assert watermark in ((min(offsets),) if offsets else (None, self.next_read.get(partition)))

    def teardown(self) -> None:
        """When all have ended, what is committed is the end."""
        started = {(p.topic, p.partition) for p in self.unfinished}
        for position in list(self.unfinished):
            self.finish(position)
        self.commit(taken=True)
        for partition in started:
            assert self.broker[partition] == self.next_read[partition]


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
