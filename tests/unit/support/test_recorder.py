"""The journal of a run."""

from pathlib import Path

import pytest

from tests.support.history import Accepted, Begun, Expected, FaultEnded
from tests.support.recorder import Recorder, read

ACCEPTED = Accepted(at=1.0, tenant="acme", job_id="a", expected=Expected(width=4, height=4))
BEGUN = Begun(at=2.0, tenant="acme", job_id="a", worker=7)
ENDED = FaultEnded(at=3.0, name="kill", recovery_seconds=40)


def test_journals_are_read_as_one_in_the_order_of_what_happened(tmp_path: Path) -> None:
    """Each process writes its own; a history has one order."""
    with Recorder(tmp_path / "one") as one, Recorder(tmp_path / "two") as two:
        one.write(ENDED)
        two.write(BEGUN)
        one.write(ACCEPTED)
        assert read([tmp_path / "one", tmp_path / "two"]) == (ACCEPTED, BEGUN, ENDED)


def test_journal_is_continued_by_the_next_process(tmp_path: Path) -> None:
    """A worker that was started anew appends to what the killed one wrote."""
    for entry in (ACCEPTED, BEGUN):
        with Recorder(tmp_path / "journal") as recorder:
            recorder.write(entry)
    assert read([tmp_path / "journal"]) == (ACCEPTED, BEGUN)


def test_journal_of_a_killed_process_is_read_up_to_the_torn_line(tmp_path: Path) -> None:
    """What was being written when the process died never happened; all before it did."""
    with Recorder(tmp_path / "journal") as recorder:
        recorder.write(ACCEPTED)
    with (tmp_path / "journal").open("ab") as file:
        file.write(BEGUN.model_dump_json().encode()[:20])
    assert read([tmp_path / "journal"]) == (ACCEPTED,)


def test_damaged_line_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    """A checker that silently knew less would find less."""
    (tmp_path / "journal").write_bytes(b'{"kind":"begun"}\n' + BEGUN.model_dump_json().encode() + b"\n")
    with pytest.raises(ValueError, match="journal"):
        read([tmp_path / "journal"])
