"""Records of a few jobs that come again and again, at any time."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ShuttingDown
from pipeline.storage.jobs import JobKey
from pipeline.worker.running import Running
from tests.support.clock import run_virtual

ARRIVALS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 10), st.integers(0, 5), st.booleans()), min_size=1, max_size=16
)
"""Job, second at which its record comes, seconds that it would take, and whether it would be given up."""


@given(ARRIVALS)
def test_job_is_never_settled_twice_at_a_time_and_no_record_is_let_go_without_it(
    arrivals: list[tuple[int, int, int, bool]],
) -> None:
    """Each record ends, with what was done or with its twin's good end; a record of a job given up stays."""
    running = Running()
    under_way: set[int] = set()
    ended_well: list[tuple[int, float]] = []

    async def settle(job: int, takes: int, given_up: bool) -> str:
        assert job not in under_way
        under_way.add(job)
        await asyncio.sleep(takes)
        under_way.remove(job)
        if given_up:
            raise ShuttingDown("given up")
        ended_well.append((job, asyncio.get_running_loop().time()))
        return "done"

    async def arrive(job: int, at: int, takes: int, given_up: bool) -> None:
        await asyncio.sleep(at)
        try:
            found = await running.once(JobKey("acme", str(job)), lambda: settle(job, takes, given_up), twin="twin")
        except ShuttingDown:
            return
        assert found in ("done", "twin")
        assert any(done == job and when >= at for done, when in ended_well)

    async def all_of_them() -> None:
        await asyncio.gather(*(arrive(*each) for each in arrivals))

    run_virtual(all_of_them())
    assert not under_way
