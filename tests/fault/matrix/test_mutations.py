"""Bugs that are seeded into all workers of a row."""

from pathlib import Path

import pytest

from tests.fault.matrix.play import play
from tests.fault.matrix.report import note_caught
from tests.fault.matrix.rows import ROWS
from tests.support.fault_site import Site
from tests.support.mutations import Mutation

pytestmark = [pytest.mark.fault, pytest.mark.faults, pytest.mark.asyncio(loop_scope="package")]
QUIET_SECONDS = 15.0
"""What is lost is not waited for as long as what may still come."""
CAUGHT: dict[Mutation, tuple[str, set[str]]] = {
    Mutation.COMMIT_BEFORE_UPLOAD: ("1", {"LOST"}),
    Mutation.COMMIT_HIGHEST: ("18c", {"LOST"}),
    Mutation.RANDOM_EVENT_ID: ("5", {"EVENT_ID"}),
    Mutation.OVERWRITE: ("4", {"CHANGED", "OVERWRITTEN"}),
    Mutation.NO_START_COUNTER: ("10", {"REPEATED"}),
    Mutation.LAST_START_IN_COMPANY: ("10", {"TWO_ENDS"}),
    Mutation.RETRY_AFTER_COMMIT: ("35", {"LOST"}),
    Mutation.DEAD_LETTER_NOT_AWAITED: ("30b", {"LOST"}),
    Mutation.PAUSE_LOST: ("17b", {"HOARDED"}),
    Mutation.NO_POLL_WHILE_DRAINING: ("5b", {"TOLD_AGAIN"}),
}
"""By which row, and what it must at least violate there."""


@pytest.mark.parametrize("mutation", Mutation, ids=lambda mutation: mutation.name.lower())
async def test_seeded_bug_is_caught(place: Site, tmp_path: Path, fault_seed: int, mutation: Mutation) -> None:
    """A suite that a broken worker passes would show nothing by a whole one's passing."""
    number, rules = CAUGHT[mutation]
    outcome = await play(ROWS[number], place, tmp_path, seed=fault_seed, mutation=mutation, quiet_seconds=QUIET_SECONDS)
    note_caught(str(mutation), number, outcome.rules)
    assert rules <= outcome.rules, f"row {number}, seed {fault_seed}: {outcome.violations}"
