"""Every row of the fault matrix, on three brokers of Apache Kafka."""

from pathlib import Path

import pytest

from tests.fault.matrix.play import play
from tests.fault.matrix.row import Row
from tests.fault.matrix.worker_rows import ROWS as WORKER_ROWS
from tests.support.fault_site import Site

pytestmark = [pytest.mark.fault, pytest.mark.faults, pytest.mark.asyncio(loop_scope="package")]
ROWS = (*WORKER_ROWS,)


@pytest.mark.parametrize("row", ROWS, ids=[row.number for row in ROWS])
async def test_every_accepted_request_ends_once_and_in_time_whatever_breaks(
    place: Site, tmp_path: Path, row: Row
) -> None:
    """None is lost, none has a wrong result, each has one event id and one content, and the cost is within bounds."""
    outcome = await play(row, place, tmp_path, seed=1)
    print(row.title, f"{outcome.seconds:.0f} s", outcome.cost)
    assert outcome.violations == ()
