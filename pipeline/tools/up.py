"""`upscale up`: broker, store and worker on this machine, until Ctrl-C."""

import argparse
import asyncio
import shlex
from pathlib import Path

from rich.console import Console

from pipeline.embedded.stack import stack, worker
from pipeline.lifecycle import stop_requested
from pipeline.settings import Settings, environment

STATE = Path(".upscale")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale up`."""
    parser.add_argument("--state", type=Path, default=STATE, help=f"folder for all state (default: {STATE})")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 after a clean stop, 1 when a part did not start or ended by itself."""
    return asyncio.run(_up(arguments.state.resolve(), config))


async def _up(folder: Path, config: Settings) -> int:
    console = Console(highlight=False)
    async with stack(folder, config) as local, worker(folder, local) as child:
        _say_where(console, folder, local)
        async with stop_requested() as stop:
            ended = asyncio.ensure_future(child.ended())
            await asyncio.wait({ended, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        console.print("stopping: jobs in hand are finished first; Ctrl-C again gives them up")
        return 1 if ended.done() else 0


def _say_where(console: Console, folder: Path, local: Settings) -> None:
    written = environment(local)
    script = folder / "env"
    script.touch(mode=0o600)
    script.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in written.items()))
    console.print(f"broker   {local.kafka.servers}")
    console.print(f"store    {local.store.endpoint}  bucket {local.store.bucket}")
    console.print(f"worker   http://{local.telemetry.host}:{local.telemetry.port}/ready  /live  /metrics")
    console.print(f"state    {folder}")
    console.print(f"\nin another terminal:  . {shlex.quote(str(script))}  &&  upscale submit PICTURE")
