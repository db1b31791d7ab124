"""`upscale state migrate|check`: the tables of the database."""

import argparse
import asyncio

from pipeline.settings import Settings, StateSettings
from pipeline.state.database import open_database
from pipeline.state.migrate import check, migrate, newest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale state`."""
    meanings = "make them, or bring them up to date with what is in them; or only look"
    parser.add_argument("action", choices=["migrate", "check"], help=meanings)


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when the tables are those of this program. Raises `ServiceUnreachable`, `ServiceRefused`,
    `StateUnavailable` and `InvalidSettings` when they are not or cannot be looked at."""
    print(asyncio.run(_run(arguments.action, config.state)))
    return 0


async def _run(action: str, settings: StateSettings) -> str:
    changed = action == "migrate" and await _migrated(settings)
    return f"{'migrated' if changed else 'ok':<8} database {await looked_at(settings)}"


async def _migrated(settings: StateSettings) -> bool:
    async with open_database(settings, migrating=True) as database:
        return await migrate(database)


async def looked_at(settings: StateSettings) -> str:
    """Where the database is, and of which step its tables are. Raises when they are not those of this program."""
    async with open_database(settings) as database:
        await check(database)
        return f"{database.address}, step {newest()}"
