"""`upscale up`: broker, store, worker and dispatcher on this machine, until Ctrl-C."""

import argparse
import asyncio
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.embedded.ports import kept_ports
from pipeline.embedded.process import Child
from pipeline.embedded.stack import dispatcher, stack, worker
from pipeline.errors import PipelineError
from pipeline.lifecycle import stop_requested
from pipeline.settings import Settings
from pipeline.tools.unsourced import SCRIPT, STATE
from pipeline.variables import environment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale up`."""
    parser.add_argument("--state", type=Path, default=STATE, help=f"folder for all state (default: {STATE})")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 after a clean stop. Raises `PipelineError` when a part did not start or ended by itself."""
    return asyncio.run(_up(arguments.state.resolve(), config))


async def _up(folder: Path, config: Settings) -> int:
    # A path is printed as it is: not wrapped, and never taken for markup.
    say = partial(Console(highlight=False, markup=False, emoji=False).print, soft_wrap=True)
    say("starting broker, store, worker and dispatcher ...")
    before = kept_ports(folder)
    async with (
        stack(folder, config) as running,
        dispatcher(folder, running.local) as dispatching,
        worker(folder, running.local) as upscaling,
    ):
        script = _write_environment(folder, running.local)
        for line in [*moved(before, kept_ports(folder)), *where(folder, script, running.local, dispatching.local)]:
            say(line)
        await until_stopped(upscaling, dispatching.child, *running.children)
        say("stopping: jobs in hand are finished first; Ctrl-C again gives them up")
    return 0


async def until_stopped(*children: Child) -> None:
    """Return when a signal says stop. Raises `PipelineError` when one of the children ends by itself before."""
    async with stop_requested() as stop:
        ended = {asyncio.create_task(child.ended()): child for child in children}
        stopping = asyncio.create_task(stop.wait())
        done, left = await asyncio.wait({*ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        if stopping in done:
            return
        task = done.pop()
        raise PipelineError(
            f"{ended[task].name} ended by itself with status {task.result()}; see {ended[task].log_path}"
        )


def _write_environment(folder: Path, local: Settings) -> Path:
    """A file for a shell to read, after which it reaches what runs here; it holds the store's key."""
    script = folder / SCRIPT
    script.touch(mode=0o600)
    script.write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment(local).items()), encoding="utf-8"
    )
    return script


def moved(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """What is not where it was, a line each: terminals that have read the file of variables look for it there."""
    return [
        f"port {port} of the {name} was taken, now it is {now[name]}: read the file below again in other terminals"
        for name, port in before.items()
        if now[name] != port
    ]


def where(folder: Path, script: Path, local: Settings, dispatching: Settings) -> list[str]:
    """Where everything is, and what to type next, a line each."""
    return [
        f"broker   {local.kafka.servers}",
        f"store    {local.store.endpoint}  bucket {local.store.bucket}",
        f"worker   http://{local.telemetry.host}:{local.telemetry.port}/ready  /live  /metrics",
        f"webhooks http://{dispatching.telemetry.host}:{dispatching.telemetry.port}/ready  /live  /metrics",
        f"state    {folder}",
        f"\nin another terminal:  . {shlex.quote(str(script))}  &&  upscale submit PICTURE",
    ]
