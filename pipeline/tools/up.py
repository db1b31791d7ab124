"""`upscale up`: broker, store and worker on this machine, until Ctrl-C."""

import argparse
import asyncio
import shlex
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline.embedded.process import Child
from pipeline.embedded.stack import stack, worker
from pipeline.errors import PipelineError
from pipeline.lifecycle import stop_requested
from pipeline.settings import Settings, environment

STATE = Path(".upscale")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale up`."""
    parser.add_argument("--state", type=Path, default=STATE, help=f"folder for all state (default: {STATE})")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 after a clean stop. Raises `PipelineError` when a part did not start or the worker ended."""
    return asyncio.run(_up(arguments.state.resolve(), config))


async def _up(folder: Path, config: Settings) -> int:
    # A path is printed as it is: not wrapped, and never taken for markup.
    say = partial(Console(highlight=False, markup=False, emoji=False).print, soft_wrap=True)
    say("starting broker, store and worker ...")
    async with stack(folder, config) as local, worker(folder, local) as child:
        script = _write_environment(folder, local)
        for line in where(folder, script, local):
            say(line)
        await until_stopped(child)
        say("stopping: jobs in hand are finished first; Ctrl-C again gives them up")
    return 0


async def until_stopped(child: Child) -> None:
    """Return when a signal says stop. Raises `PipelineError` when the child ends by itself before."""
    async with stop_requested() as stop:
        ended, stopping = asyncio.create_task(child.ended()), asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stopping.cancel()
            raise PipelineError(f"the {child.name} ended by itself with status {ended.result()}; see {child.log_path}")
        ended.cancel()


def _write_environment(folder: Path, local: Settings) -> Path:
    """A file for a shell to read, after which it reaches what runs here; it holds the store's key."""
    script = folder / "env"
    script.touch(mode=0o600)
    script.write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment(local).items()), encoding="utf-8"
    )
    return script


def where(folder: Path, script: Path, local: Settings) -> list[str]:
    """Where everything is, and what to type next, a line each."""
    return [
        f"broker   {local.kafka.servers}",
        f"store    {local.store.endpoint}  bucket {local.store.bucket}",
        f"worker   http://{local.telemetry.host}:{local.telemetry.port}/ready  /live  /metrics",
        f"state    {folder}",
        f"\nin another terminal:  . {shlex.quote(str(script))}  &&  upscale submit PICTURE",
    ]
