"""What a record without an id is named after, wherever it lies."""

from pipeline.kafka.retry import first_origin, group_of_retries, with_origin
from schemas import topics


def test_record_that_leaves_takes_along_where_it_lay() -> None:
    """Once: moving on changes nothing, and the sender's headers stay."""
    once = with_origin((("theirs", b"1"),), "requests/0/1")
    assert once == (("theirs", b"1"), (topics.ORIGIN, b"requests/0/1"))
    assert with_origin(once, "requests/0/99") == once


def test_record_that_never_moved_lies_where_it_lay_first() -> None:
    """An empty header counts as none, and bytes that are no text do no harm."""
    assert first_origin((), "requests/0/1") == "requests/0/1"
    assert first_origin(((topics.ORIGIN, b""),), "requests/0/1") == "requests/0/1"
    assert first_origin(((topics.ORIGIN, b"\xff"),), "requests/0/1") == "\ufffd"


def test_retries_have_a_group_of_their_own() -> None:
    """Lag is asked of the group that the workers read in."""
    assert group_of_retries("workers") == "workers.retries"
