"""A worker is killed in the middle of a launch; a second one does what is left. The matrix has the other points."""

import asyncio
import signal
from pathlib import Path

import pytest

from pipeline.storage.transfer import upload
from tests.support.checker import check
from tests.support.crash_points import Crash, CrashPoint
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import FakeWorker, fake_worker
from tests.support.fault_run import fault_run, picture
from tests.support.history import Limits
from tests.support.run_facts import measure

pytestmark = pytest.mark.fault
JOBS = 60
CRASH = Crash(CrashPoint.LAUNCH, 3)
SIDE = 16
LAW = LatencyLaw(setup_seconds=0.005, seconds_per_megapixel=0.5)
IN_HAND = 64
"""Jobs of a lane that a worker takes, by its settings."""
RECOVERY_SECONDS = 40.0
"""The session timeout, the new assignment and one job, on a busy machine."""


async def test_kill_nine_in_a_launch_loses_nothing_and_tells_nothing_twice_differently(tmp_path: Path) -> None:
    """Every job ends once, with the right pixels under one key and one event id. No job is executed a third time."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        deployment(tmp_path) as local,
        fault_run(tmp_path, local) as run,
    ):
        for seed in range(JOBS):
            content, expected = picture(seed, SIDE)
            await run.ask(request(await upload(run.session.store, "test", content)), expected)
        async with fake_worker(tmp_path, local, FakeWorker(run.journal, LAW, CRASH)) as first:
            with run.fault("kill -9", recovery_seconds=RECOVERY_SECONDS, killed=first.pid):
                assert await first.ended() == -signal.SIGKILL
        async with fake_worker(tmp_path, local, FakeWorker(run.journal, LAW)):
            await run.left(0)
        history = await run.history(Limits(executions_of_a_job=2, jobs_in_hand=IN_HAND))

        cost = measure(history)
        assert check(history) == []
        assert cost.accepted == JOBS
        assert cost.extra_executions > 0, "nothing was repeated, so nothing was shown"
