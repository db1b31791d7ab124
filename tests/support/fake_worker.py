"""`python -m tests.support.fake_worker`: the worker with a fake device, a journal, and a point where it crashes.

All its other rooms are the real ones, and so are its settings.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic

from pipeline import environment
from pipeline.embedded.process import Child, free_port
from pipeline.embedded.stack import STOP_MARGIN_SECONDS, WORKER_READY_SECONDS, is_ready, process_environment
from pipeline.settings import Settings
from pipeline.storage import jobs
from pipeline.worker import app
from pipeline.worker.intake import Job
from pipeline.worker.outcome import Done
from pipeline.worker.settle import Ports
from schemas.stages import Stage
from tests.support.crash_points import Crash, CrashPoint, kill_nine
from tests.support.crashing_claims import CrashingClaims
from tests.support.device_faults import DeviceFault, after
from tests.support.fake_device import INSTANT, PROFILE, LatencyLaw, answer_the_self_test, fake_load
from tests.support.history import Begun, Ended
from tests.support.mutations import Mutation, apply
from tests.support.recorder import Recorder
from tests.support.worker_world import count_held_records, hurry_retries, limit_memory, move_clock

BLOCKED_SECONDS = 8.0
"""How long SIGUSR1 keeps the event loop of a worker from running."""


@dataclass(frozen=True, slots=True)
class FakeWorker:
    """How a worker is started."""

    journal: Path
    """May be shared with others."""
    law: LatencyLaw = INSTANT
    crash: Crash | None = None
    deadly: str = ""
    """Job that kills the worker whenever it is begun, as a picture may whose decoder takes the machine's memory."""
    mutation: Mutation | None = None
    """The rule that it breaks."""
    device: DeviceFault | None = None
    clock_seconds: float = 0.0
    """How far its wall clock is ahead."""
    hurry: int = 1
    """By what the delays of the retry topics are divided."""
    memory_bytes: int = 0
    """Address space that it may add to what it has at its start; 0 is without limit."""

    def arguments(self) -> list[str]:
        """What the process is told."""
        law = (str(self.law.setup_seconds), str(self.law.seconds_per_megapixel))
        given = {"--crash": self.crash, "--deadly": self.deadly, "--mutation": self.mutation, "--device": self.device}
        options = [word for name, value in given.items() if value for word in (name, str(value))]
        world = ["--clock", str(self.clock_seconds), "--hurry", str(self.hurry), "--memory", str(self.memory_bytes)]
        return ["--journal", str(self.journal), "--law", *law, *options, *world]


@asynccontextmanager
async def fake_worker(folder: Path, local: Settings, how: FakeWorker) -> AsyncIterator[Child]:
    """A worker of its own process, ready to take requests; several may run at once. Its log is in `folder`."""
    own = local.model_copy(update={"telemetry": local.telemetry.model_copy(update={"port": free_port()})})
    child = Child(
        "fake worker",
        [sys.executable, "-m", __name__, *how.arguments()],
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
            computed = Stage.BATCH in job.timings.seconds
            recorder.write(Ended(at=monotonic(), computed=computed, **facts))
        reached(CrashPoint.STORED)
        return done

    def then(point: CrashPoint, port: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def through(*told: object) -> None:
            await port(*told)
            reached(point)

        return through

    return replace(
        ports,
        do=do,
        claims=CrashingClaims(ports.claims, partial(reached, CrashPoint.ENDED)),
        say=then(CrashPoint.ACKNOWLEDGED, ports.say),
        hand_on=then(CrashPoint.HANDED_ON, ports.hand_on),
        park=then(CrashPoint.PARKED, ports.park),
    )


def main(argv: list[str] | None = None) -> int:
    """Be a worker until a signal says stop; its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--law", type=float, nargs=2, required=True, metavar=("SETUP", "PER_MEGAPIXEL"))
    parser.add_argument("--crash", type=Crash.parse)
    parser.add_argument("--deadly", default="")
    parser.add_argument("--mutation", type=Mutation)
    parser.add_argument("--device", type=DeviceFault.parse)
    parser.add_argument("--clock", type=float, default=0.0)
    parser.add_argument("--hurry", type=int, default=1)
    parser.add_argument("--memory", type=int, default=0)
    told = parser.parse_args(argv)
    if told.mutation:
        apply(told.mutation)
    if told.clock:
        move_clock(told.clock)
    if told.memory:
        limit_memory(told.memory)
    hurry_retries(told.hurry)
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(BLOCKED_SECONDS))
    answer_the_self_test()
    with Recorder(told.journal) as recorder:
        count_held_records(recorder)
        return work(told, recorder)


def work(told: argparse.Namespace, recorder: Recorder) -> int:
    reached: Callable[[CrashPoint], None] = told.crash.reached if told.crash else lambda _: None
    load = fake_load(LatencyLaw(*told.law), half_way=after(told.device, lambda: reached(CrashPoint.LAUNCH)))
    return app.run(
        environment.load(), PROFILE, load, around=lambda ports: journaled(ports, recorder, reached, told.deadly)
    )


if __name__ == "__main__":
    sys.exit(main())
