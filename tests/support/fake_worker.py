"""`python -m tests.support.fake_worker`: the worker with a fake device, a journal, and a point where it crashes.

All its other rooms are the real ones, and so are its settings.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from pipeline import settings
from pipeline.embedded.process import Child, free_port
from pipeline.embedded.stack import STOP_MARGIN_SECONDS, WORKER_READY_SECONDS, is_ready, process_environment
from pipeline.settings import Settings
from pipeline.storage import jobs
from pipeline.worker import app
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from pipeline.worker.settle import Ports
from schemas.events import Event
from tests.support.crash_points import Crash, CrashPoint, kill_nine
from tests.support.fake_device import INSTANT, PROFILE, LatencyLaw, answer_the_self_test, fake_load
from tests.support.history import Begun, Ended
from tests.support.recorder import Recorder


@dataclass(frozen=True, slots=True)
class FakeWorker:
    """How a worker is started."""

    journal: Path
    """May be shared with others."""
    law: LatencyLaw = INSTANT
    crash: Crash | None = None
    deadly: str = ""
    """Job that kills the worker whenever it is begun, as a picture may whose decoder takes the machine's memory."""

    def argv(self) -> list[str]:
        law = (str(self.law.setup_seconds), str(self.law.seconds_per_megapixel))
        crash = ("--crash", str(self.crash)) if self.crash else ()
        return [
            sys.executable,
            "-m",
            __name__,
            "--journal",
            str(self.journal),
            "--law",
            *law,
            *crash,
            "--deadly",
            self.deadly,
        ]


@asynccontextmanager
async def fake_worker(folder: Path, local: Settings, how: FakeWorker) -> AsyncIterator[Child]:
    """A worker of its own process, ready to take requests; several may run at once. Its log is in `folder`."""
    own = local.model_copy(update={"telemetry": local.telemetry.model_copy(update={"port": free_port()})})
    child = Child(
        "fake worker",
        how.argv(),
        process_environment(own),
        folder / f"worker-{own.telemetry.port}.log",
        stop_seconds=local.intake.drain_seconds + STOP_MARGIN_SECONDS,
    )
    async with child:
        await child.ready(lambda: is_ready(own), WORKER_READY_SECONDS)
        yield child


def journaled(ports: Ports, recorder: Recorder, reached: Callable[[CrashPoint], None], deadly: str) -> Ports:
    """`ports` that write down what is begun and ended, say which points they reach, and die of one job."""

    async def do(job: Job, begun: jobs.Begun) -> Done:
        facts = {"tenant": job.request.tenant, "job_id": job.request.job_id, "worker": os.getpid()}
        recorder.write(Begun(at=monotonic(), **facts))
        if job.request.job_id == deadly:
            kill_nine()
        try:
            done = await ports.do(job, begun)
        finally:
            recorder.write(Ended(at=monotonic(), **facts))
        reached(CrashPoint.STORED)
        return done

    async def say(event: Event) -> None:
        await ports.say(event)
        reached(CrashPoint.ACKNOWLEDGED)

    return replace(ports, do=do, say=say)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--law", type=float, nargs=2, required=True, metavar=("SETUP", "PER_MEGAPIXEL"))
    parser.add_argument("--crash", type=Crash.parse)
    parser.add_argument("--deadly", default="")
    told = parser.parse_args(argv)
    reached: Callable[[CrashPoint], None] = told.crash.reached if told.crash else lambda _: None
    answer_the_self_test()
    load = fake_load(LatencyLaw(*told.law), half_way=lambda: reached(CrashPoint.LAUNCH))
    with Recorder(told.journal) as recorder:
        return app.run(
            settings.load(), PROFILE, load, around=lambda ports: journaled(ports, recorder, reached, told.deadly)
        )


if __name__ == "__main__":
    sys.exit(main())
