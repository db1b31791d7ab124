"""What `upscale up` waits for and says."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from pipeline.embedded.process import Child
from pipeline.errors import PipelineError
from pipeline.settings import Settings, StoreSettings
from pipeline.tools.up import moved, until_stopped, where


def child(folder: Path, script: str) -> Child:
    return Child("the worker", [sys.executable, "-c", script], {}, folder / "worker.log")


async def test_worker_that_ends_by_itself_is_told_with_its_status_and_its_log(tmp_path: Path) -> None:
    """Without a worker nothing is upscaled, so `up` does not stay as if all were well."""
    text = rf"^the worker ended by itself with status 70; see {tmp_path}/worker\.log$"
    async with asyncio.timeout(60), child(tmp_path, "raise SystemExit(70)") as running:
        with pytest.raises(PipelineError, match=text):
            await until_stopped(running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_the_wait_while_the_worker_runs(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and a service manager are answered alike; the worker is left to be drained."""
    async with asyncio.timeout(60), child(tmp_path, "import time; time.sleep(60)") as running:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        await until_stopped(running)
        assert running.running


def test_places_are_told_so_that_a_shell_takes_them_as_they_are() -> None:
    """A folder with a space in its name is quoted in what is to be typed."""
    local = Settings(store=StoreSettings(endpoint="http://127.0.0.1:8333"))
    lines = where(Path("/my state"), Path("/my state/env"), local, local)
    assert lines[1] == "store    http://127.0.0.1:8333  bucket upscale"
    assert lines[-1].endswith("  . '/my state/env'  &&  upscale submit PICTURE")


def test_service_that_had_to_move_is_told_with_what_to_do() -> None:
    """Terminals that have read the file look for it where it was. A first start moves nothing."""
    now = {"store": 8333, "broker": 40001}
    assert moved({"store": 8333, "broker": 9092}, now) == [
        "port 9092 of the broker was taken, now it is 40001: read the file below again in other terminals"
    ]
    assert moved({}, now) == []
