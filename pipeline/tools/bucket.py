"""`upscale bucket create|check`: our bucket in the object store."""

import argparse
import asyncio

from pipeline.settings import Settings
from pipeline.storage import client as storage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale bucket`."""
    parser.add_argument("action", choices=["create", "check"], help="create it if it is missing, or only look")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when the bucket is there. Raises `ServiceUnreachable` when it is not."""
    return asyncio.run(_run(arguments.action, config))


async def _run(action: str, config: Settings) -> int:
    async with storage.connect(config.store) as store:
        if action == "create":
            await storage.ensure_bucket(store)
        await storage.check(store)
    print(f"ok       bucket {config.store.bucket}")
    return 0
