"""What the ledger lets a consumer commit."""

import pytest

from pipeline.kafka.offsets import OffsetLedger
from pipeline.kafka.records import Position

HERE = ("requests", 0)
THERE = ("requests", 1)


def at(offset: int, *, partition: int = 0, epoch: int = 1) -> Position:
    return Position("requests", partition, offset, epoch)


def ledger_with(*offsets: int) -> OffsetLedger:
    ledger = OffsetLedger()
    ledger.assign([HERE], 1)
    for offset in offsets:
        ledger.start(at(offset))
    return ledger


def test_ledger_commits_only_the_finished_prefix() -> None:
    """A record that is finished behind an unfinished one is not committed."""
    ledger = ledger_with(5, 6, 7)
    ledger.finish(at(5))
    ledger.finish(at(7))
    assert ledger.commitable() == {HERE: 6}


def test_ledger_commits_past_the_last_record_when_all_have_ended() -> None:
    """The end is the offset after the last record handed out, not the number of records."""
    ledger = ledger_with(5, 9)
    ledger.finish(at(9))
    ledger.finish(at(5))
    assert ledger.commitable() == {HERE: 10}


def test_ledger_steps_over_holes_in_the_offsets() -> None:
    """Offsets that were never seen hold nothing back."""
    ledger = ledger_with(5, 9)
    ledger.finish(at(5))
    assert ledger.commitable() == {HERE: 9}


def test_ledger_has_nothing_to_commit_when_nothing_is_finished() -> None:
    """Where the assignment began to read is already what the broker holds."""
    assert ledger_with(5, 6).commitable() == {}


def test_ledger_offers_a_commit_until_the_broker_has_taken_it() -> None:
    """A commit that failed is due again; one that succeeded is not."""
    ledger = ledger_with(5)
    ledger.finish(at(5))
    assert ledger.commitable() == ledger.commitable() == {HERE: 6}
    ledger.committed({HERE: 6})
    assert ledger.commitable() == {}


def test_ledger_keeps_the_highest_commit_when_answers_come_late() -> None:
    """An older commit that is acknowledged after a newer one does not make it due again."""
    ledger = ledger_with(5, 6)
    ledger.finish(at(5))
    ledger.finish(at(6))
    ledger.committed({HERE: 7})
    ledger.committed({HERE: 6})
    assert ledger.commitable() == {}


def test_ledger_ignores_a_finish_of_an_older_epoch() -> None:
    """Work that outlives its assignment commits nothing, even when its partition came back."""
    ledger = ledger_with(5)
    ledger.assign([HERE], 2)
    ledger.start(at(5, epoch=2))
    ledger.finish(at(5, epoch=1))
    assert ledger.commitable() == {}
    assert ledger.watermark(HERE) == 5


def test_ledger_ignores_a_record_of_an_older_epoch() -> None:
    """A record that was polled before a rebalance is not awaited after it."""
    ledger = ledger_with()
    ledger.assign([HERE], 2)
    ledger.start(at(5, epoch=1))
    assert ledger.watermark(HERE) is None


def test_ledger_ignores_a_record_of_a_partition_that_is_not_ours() -> None:
    """Only assigned partitions are committed."""
    ledger = ledger_with()
    ledger.start(at(5, partition=1))
    ledger.finish(at(5, partition=1))
    assert ledger.commitable() == {}


def test_ledger_forgets_everything_when_revoked() -> None:
    """After a revocation neither old nor new work of that assignment is committed."""
    ledger = ledger_with(5, 6)
    ledger.finish(at(5))
    ledger.revoke()
    ledger.start(at(7))
    ledger.finish(at(6))
    ledger.committed({HERE: 6})
    assert ledger.commitable() == {}
    assert ledger.watermark(HERE) is None


def test_ledger_refuses_an_epoch_that_is_not_later() -> None:
    """An epoch used twice would let late completions commit."""
    ledger = ledger_with()
    with pytest.raises(ValueError, match="epoch: must be later than 1, got 1"):
        ledger.assign([HERE], 1)


def test_ledger_does_not_go_back_when_the_log_was_cut_short() -> None:
    """Offsets handed out again below the committed one are awaited, but what is committed stays."""
    ledger = ledger_with(5, 6)
    ledger.finish(at(5))
    ledger.finish(at(6))
    ledger.committed(ledger.commitable())
    ledger.start(at(7))
    ledger.start(at(2))
    ledger.finish(at(7))
    assert ledger.commitable() == {}
    assert ledger.watermark(HERE) == 2
    ledger.finish(at(2))
    assert ledger.commitable() == {HERE: 8}


def test_ledger_knows_how_far_a_partition_is_finished_once_something_was_handed_out() -> None:
    """What lies behind a worker is counted from here."""
    ledger = OffsetLedger()
    ledger.assign([HERE], 1)
    assert ledger.watermark(HERE) is None
    ledger.start(at(5))
    ledger.start(at(6))
    ledger.finish(at(6))
    assert ledger.watermark(HERE) == 5
    ledger.finish(at(5))
    assert ledger.watermark(HERE) == 7
