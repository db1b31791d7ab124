"""The tables of the fault suite's findings."""

from docs.reliability import PAGE, with_tables

ROW = {
    "name": "a fault",
    "seed": 7,
    "accepted": 10,
    "extra_executions": 11,
    "repeated_events": 1,
    "recovery_seconds": {"kill": 0.25},
    "caught_up_seconds": {"kill": None},
    "violations": [],
}
MARKED = "<!-- rows -->\nold\n<!-- end -->\n<!-- mutations -->\n<!-- end -->\n"


def test_tables_stand_between_their_marks_in_the_order_of_the_rows() -> None:
    """What was measured before is gone, and 2b comes after 2 and before 10."""
    told = {"10": ROW, "2b": ROW, "2": ROW, "mutations": {"a bug": {"row": "2", "rules": ["TWO_ENDS", "LOST"]}}}
    lines = with_tables(MARKED, told).splitlines()
    assert [line.split(" | ")[0] for line in lines[3:6]] == ["| 2", "| 2b", "| 10"]
    assert lines[3] == "| 2 | a fault | 7 | 10 | 11 | 1 | 0.2 s | – | passed |"
    assert lines[-2] == "| a bug | 2 | two ends, lost |"
    assert "old" not in lines


def test_row_that_failed_says_what_was_violated() -> None:
    """A table that showed only what passed would be no report."""
    lines = with_tables(MARKED, {"1": ROW | {"violations": ["lost: a", "waste: b"]}})
    assert "| lost: a; waste: b |" in lines


def test_page_has_the_marks() -> None:
    """Otherwise the command would change nothing, and say nothing."""
    page = PAGE.read_text(encoding="utf-8")
    assert "<!-- rows -->" in page
    assert "<!-- mutations -->" in page
