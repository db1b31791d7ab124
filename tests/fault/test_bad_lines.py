"""The lines to the broker and to the store are bad for as long as there is work."""

import asyncio
from pathlib import Path

import pytest

from pipeline.storage.transfer import upload
from tests.support.checker import check
from tests.support.deployment_local import PATIENCE_SECONDS, request
from tests.support.fake_device import LatencyLaw
from tests.support.fake_worker import FakeWorker, fake_worker
from tests.support.fault_pipe import Flow
from tests.support.fault_proxy import PASS, Behaviour
from tests.support.fault_run import fault_run, picture
from tests.support.history import Limits
from tests.support.proxied import proxied_deployment
from tests.support.s3_faults import HEALTHY, StoreBehaviour, StoreFault

pytestmark = pytest.mark.fault
JOBS = 20
LAW = LatencyLaw(setup_seconds=0.005, seconds_per_megapixel=0.5)
LATE = Flow(latency_seconds=0.05, jitter_seconds=0.04)
FLAKY = StoreBehaviour({StoreFault.LOSE_ANSWER: 0.2}, methods=frozenset({"PUT"}), prefix="/upscale/results/")


async def test_late_broker_and_a_store_that_loses_answers_change_no_result(tmp_path: Path) -> None:
    """Each job ends once with the right pixels, and is executed once: a store's lost answer is not a lost object."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        proxied_deployment(tmp_path, seed=7) as deployed,
        fault_run(tmp_path, deployed.direct) as run,
        fake_worker(tmp_path, deployed.workers, FakeWorker(run.journal, LAW)),
    ):
        deployed.broker_line.switch(Behaviour(up=LATE, down=LATE))
        deployed.store_line.switch(FLAKY)
        for seed in range(JOBS):
            content, expected = picture(seed, 16)
            await run.ask(request(await upload(run.session.store, "test", content)), expected)
        await run.left(0)
        deployed.broker_line.switch(PASS)
        deployed.store_line.switch(HEALTHY)
        await run.committed()
        assert check(await run.history(Limits(extra_executions=0))) == []
        assert deployed.store_line.hits[StoreFault.LOSE_ANSWER] > 0
