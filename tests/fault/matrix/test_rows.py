"""Every row of the fault matrix, on three brokers of Apache Kafka."""

from pathlib import Path

import pytest

from tests.fault.matrix.play import play
from tests.fault.matrix.report import note
from tests.fault.matrix.rows import ROWS
from tests.support.fault_site import Site

pytestmark = [pytest.mark.fault, pytest.mark.faults, pytest.mark.asyncio(loop_scope="package")]


@pytest.mark.parametrize("number", ROWS)
async def test_every_accepted_request_ends_once_and_in_time_whatever_breaks(
    place: Site, tmp_path: Path, fault_seed: int, number: str
) -> None:
    """None is lost, none has a wrong result, each has one event id and one content, and the cost is within bounds."""
    outcome = await play(ROWS[number], place, tmp_path, seed=fault_seed)
    note(outcome)
    assert outcome.violations == (), f"row {ROWS[number].title}, seed {fault_seed}: {outcome.cost}"
