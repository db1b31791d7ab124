"""Workers under test that a nursery forks: ready in a second instead of ten."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pipeline.embedded.process import Child, free_port, tail
from pipeline.embedded.stack import STOP_MARGIN_SECONDS, WORKER_READY_SECONDS, is_ready, process_environment
from pipeline.settings import Settings
from tests.support.fake_worker import FakeWorker

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class NotReady(Exception):
    """A worker ended before it was ready; the text is the end of its log."""


@dataclass(frozen=True, slots=True)
class Nursling:
    """A worker that runs or ran."""

    pid: int
    log: Path
    settings: Settings
    status: "asyncio.Task[int]"

    @property
    def running(self) -> bool:
        return not self.status.done()

    async def ended(self) -> int:
        """The exit status, negative for a signal, once there is one."""
        return await asyncio.shield(self.status)

    async def metric(self, name: str) -> float:
        """The value that it tells now of a metric without labels."""
        url = f"http://{self.settings.telemetry.host}:{self.settings.telemetry.port}/metrics"
        async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as answer:
            lines = (await answer.text()).splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """End it without warning, as a crash would."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """Ask it to stop; its exit status. Killed when it takes longer than its drain may."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.intake.drain_seconds + STOP_MARGIN_SECONDS):
                return await self.ended()
        await self.kill()
        return await self.ended()

    async def ready(self) -> None:
        """Return when it takes requests. Raises `NotReady`."""
        async with asyncio.timeout(WORKER_READY_SECONDS):
            while not await is_ready(self.settings):
                await asyncio.wait({self.status}, timeout=0.1)
                if not self.running:
                    raise NotReady(tail(self.log))


@dataclass(frozen=True, slots=True)
class Nursery:
    """Made by `nursery`."""

    place: Path
    folder: Path

    async def bear(self, local: Settings, how: FakeWorker, log: Path | None = None) -> Nursling:
        """A worker that has begun to start; it logs to a file of its own unless `log` is given."""
        own = local.model_copy(update={"telemetry": local.telemetry.model_copy(update={"port": free_port()})})
        log = log or self.folder / f"worker-{own.telemetry.port}.log"
        env = {**process_environment(own), **ONE_THREAD}
        reader, writer = await asyncio.open_unix_connection(self.place)
        writer.write(json.dumps({"argv": how.arguments(), "env": env, "log": str(log)}).encode())
        pid = int(await reader.readline())

        async def status() -> int:
            try:
                return int(await reader.readline())
            finally:
                writer.close()

        return Nursling(pid, log, own, asyncio.create_task(status()))


@asynccontextmanager
async def nursery(folder: Path) -> AsyncIterator[Nursery]:
    """A nursery that is ready; its workers end with it. Logs are in `folder`."""
    place = folder / "nursery"
    child = Child(
        "nursery",
        [sys.executable, "-m", "tests.support.nursery", str(place)],
        {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(Path.home()), **ONE_THREAD},
        folder / "nursery.log",
    )

    async def listens() -> bool:
        return place.exists()

    async with child:
        await child.ready(listens, WORKER_READY_SECONDS)
        yield Nursery(place, folder)
