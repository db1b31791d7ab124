"""`upscale doctor`: device, weights, broker, topics, store and database: a line each, green or red, with what to do."""

import argparse
import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module, metadata

from rich.console import Console
from rich.text import Text

from pipeline import __version__
from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable
from pipeline.kafka.admin import Standing, administration
from pipeline.settings import InvalidSettings, Settings
from pipeline.storage import client as storage
from pipeline.tools.ailing import Ailing
from pipeline.tools.unsourced import hint
from pipeline.variables import variable
from schemas.topics import declare

BUCKET = variable("store", "bucket")
DATABASE = variable("state", "url")
SHOWN_VERSIONS = ("torch", "numpy", "pillow", "aiokafka", "aioboto3")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    ok: bool
    subject: str
    text: str
    cure: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`upscale doctor` takes no arguments: it looks at what the settings name."""
    del parser


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when every line is green."""
    del arguments
    return asyncio.run(_examine(config))


async def _examine(config: Settings) -> int:
    console = Console(highlight=False)
    healthy = True
    async for finding in findings(config):
        healthy &= finding.ok
        console.print(line(finding), soft_wrap=True)
    return 0 if healthy else 1


def line(finding: Finding) -> Text:
    """One finding as it is printed."""
    mark = Text("ok   ", "green") if finding.ok else Text("fail ", "bold red")
    cure = f"\n              -> {finding.cure}" if finding.cure else ""
    return mark + Text(f"{finding.subject:<9}{finding.text}{cure}")


async def findings(config: Settings) -> AsyncIterator[Finding]:
    """The checks, in the order in which a job meets them; each is made even when one before it failed."""
    yield Finding(True, "versions", versions())
    checks: tuple[tuple[str, Callable[[Settings], Awaitable[str]]], ...] = (
        ("device", _device),
        ("weights", _weights),
        ("broker", _broker),
        ("topics", _topics),
        ("store", _store),
        ("database", _database),
    )
    for subject, check in checks:
        yield await finding(subject, check(config), hint(config))


async def finding(subject: str, check: Awaitable[str], unreached: str) -> Finding:
    """What `check` says, or what it raised and what to do; `unreached` is that for services that we are not meant to
    have, or not at the address that is set."""
    try:
        return Finding(True, subject, await check)
    except Ailing as error:
        return Finding(False, subject, str(error), error.cure)
    except (ServiceUnreachable, ServiceRefused) as error:
        return Finding(False, subject, str(error), unreached)
    except (PipelineError, InvalidSettings) as error:
        return Finding(False, subject, str(error))


def versions() -> str:
    """This release, Python, and the libraries whose versions change what happens."""
    found = {name: _version(name) for name in SHOWN_VERSIONS}
    return f"upscale {__version__}, python {platform.python_version()}, " + ", ".join(
        f"{name} {version}" for name, version in found.items()
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


async def _device(config: Settings) -> str:
    return str(await asyncio.to_thread(_engine_check, "device", config))


async def _weights(config: Settings) -> str:
    return str(await asyncio.to_thread(_engine_check, "weights_found", config))


def _engine_check(name: str, config: Settings) -> object:
    """The engine is imported only here: every other check works where torch is not installed."""
    try:
        engine = import_module("pipeline.tools.doctor_engine")
    except ModuleNotFoundError as error:
        raise Ailing(f"{error.name} is not installed", "install upscale-pipeline with its extra `worker`") from None
    return getattr(engine, name)(config)


async def _broker(config: Settings) -> str:
    async with administration(config.kafka) as admin:
        await admin.facts()
    return f"reached at {config.kafka.servers}"


async def _topics(config: Settings) -> str:
    topics = declare(config.kafka.topic_prefix, partitions=config.kafka.partitions).all()
    async with administration(config.kafka) as admin:
        reports = await admin.check(topics)
    wrong = [f"{report.name} is missing" for report in reports if report.standing is Standing.MISSING]
    wrong += [f"{report.name} {report.detail}" for report in reports if report.standing is Standing.DIFFERS]
    if wrong:
        raise Ailing("; ".join(wrong), "upscale topics create")
    return f"{len(reports)} topics as declared"


async def _store(config: Settings) -> str:
    try:
        async with storage.connect(config.store) as store:
            await storage.check(store)
    except ServiceRefused as error:
        if error.setting != BUCKET:
            raise
        raise Ailing(str(error), "upscale bucket create") from None
    return f"bucket {config.store.bucket} at {storage.address(config.store)}"


async def _database(config: Settings) -> str:
    """The default names a file in the folder we happen to be in, so only a database that was named is looked at."""
    if "url" not in config.state.model_fields_set:
        return f"none named in {DATABASE}; only the dispatcher needs one"
    try:
        state = import_module("pipeline.tools.state")
    except ModuleNotFoundError as error:
        raise Ailing(f"{error.name} is not installed", "install upscale-pipeline with its extra `state`") from None
    return str(await state.looked_at(config.state))
