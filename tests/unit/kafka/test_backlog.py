"""Lags of partitions put together."""

from datetime import timedelta

from aiokafka import TopicPartition

from pipeline.kafka.backlog import Backlog, open_letters, summed, together
from pipeline.kafka.parked import Mark, Outcome, stock
from pipeline.kafka.scan import Record
from tests.support.parked import PARKED, make_letter
from tests.support.requests import APPENDED


def head(topic: str, partition: int, seconds: float) -> Record:
    return Record(topic, partition, 0, None, b"", (), APPENDED + timedelta(seconds=seconds))


def test_topic_is_as_far_behind_as_its_partitions_together_and_as_old_as_the_oldest() -> None:
    """A topic with nothing before its readers has no age."""
    lags = {TopicPartition("a", 0): 3, TopicPartition("a", 1): 4, TopicPartition("b", 0): 0}
    assert summed(("a", "b"), lags, [head("a", 0, 5), head("a", 1, 2)]) == {
        "a": Backlog(7, APPENDED + timedelta(seconds=2)),
        "b": Backlog(0, None),
    }


def test_several_topics_are_as_one() -> None:
    """Six retry topics are one line."""
    assert together([Backlog(1, None), Backlog(2, PARKED), Backlog(3, APPENDED)]) == Backlog(6, min(PARKED, APPENDED))
    assert together([]) == Backlog(0, None)


def test_letters_that_were_dealt_with_wait_for_nobody() -> None:
    """Marks are no letters, and marked letters are done."""
    done, left = make_letter(1), make_letter(2, parked=PARKED + timedelta(seconds=9))
    found = open_letters(stock([done, left, Mark(done.place, Outcome.DROPPED)]))
    assert found == Backlog(1, PARKED + timedelta(seconds=9))
