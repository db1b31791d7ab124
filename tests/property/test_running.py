"""Records of a few jobs that come again and again, at any time."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ShuttingDown
from pipeline.storage.jobs import JobKey
from pipeline.worker.running import Running
from tests.support.clock import run_virtual

ENDS = (None, ShuttingDown, ZeroDivisionError)
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 10), st.integers(0, 5), st.sampled_from(ENDS)), min_size=1, max_size=16
)
"""Job, second at which its record comes, seconds that it would take, and what it would raise in the end."""


@given(ARRIVALS)
def test_job_is_never_settled_twice_at_a_time_and_no_record_is_let_go_without_it(
    arrivals: list[tuple[int, int, int, type[Exception] | None]],
) -> None:
    """Each record ends: with what was done, with its twin's good end, or with what it raised itself; and it stays only
    where its job was given up."""
    running = Running()
    under_way: set[int] = set()
    ended_well: list[tuple[int, float]] = []
    given_up: set[int] = set()

    async def settle(job: int, takes: int, error: type[Exception] | None) -> str:
        assert job not in under_way
        under_way.add(job)
        await asyncio.sleep(takes)
        under_way.remove(job)
        if error is ShuttingDown:
            given_up.add(job)
        if error is not None:
            raise error
        ended_well.append((job, asyncio.get_running_loop().time()))
        return "done"

    async def arrive(job: int, at: int, takes: int, error: type[Exception] | None) -> None:
        await asyncio.sleep(at)
        try:
            found = await running.once(JobKey("acme", str(job)), lambda: settle(job, takes, error), twin="twin")
        except ShuttingDown:
            assert job in given_up
            return
        except ZeroDivisionError:
            assert error is ZeroDivisionError
            return
        assert found in ("done", "twin")
        assert any(done == job and when >= at for done, when in ended_well)

    async def all_of_them() -> None:
        await asyncio.gather(*(arrive(*each) for each in arrivals))

    run_virtual(all_of_them())
    assert not under_way
