"""`upscale submit FILE|URL|s3://…`: send pictures, follow them, download the results."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tools.asking import add_options, options_of
from pipeline.tools.errand import Asked, Ended, Errand, Picture, still_open
from pipeline.tools.files import check_readable, make_folder
from pipeline.tools.session import connect
from schemas.callbacks import Webhook
from schemas.events import Tenant
from schemas.problems import problems
from schemas.topics import Lane, declare

REMOTE_SCHEMES = ("http", "https", "s3", "upload")
JSON_HELP = "print each event as a line of JSON instead, with `picture`, and `path` once its result is saved there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale submit`."""
    parser.add_argument("pictures", nargs="+", metavar="FILE|URL|s3://BUCKET/KEY", help="what to upscale")
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), help="folder for the results (default: out)")
    parser.add_argument("--lane", choices=[str(lane) for lane in Lane], default=str(Lane.INTERACTIVE))
    parser.add_argument("--tenant", default="default", help="on whose behalf (default: default)")
    parser.add_argument("--webhook", metavar="URL", default=None, help="call this address when a job has ended")
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS", help="give up after this long")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    add_options(parser)


def tenant_of(arguments: argparse.Namespace) -> str:
    """The tenant asked for. Raises `PipelineError` when it cannot be one."""
    try:
        return TypeAdapter(Tenant).validate_python(arguments.tenant)
    except ValidationError as error:
        raise PipelineError(f"--tenant: {problems(error)[0].sentence}") from None


def webhook_of(arguments: argparse.Namespace) -> Webhook | None:
    """The webhook asked for. Raises `PipelineError` when it cannot be one."""
    try:
        return None if arguments.webhook is None else Webhook(url=arguments.webhook)
    except ValidationError as error:
        raise PipelineError(f"--webhook: {problems(error)[0].sentence}") from None


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when every picture was upscaled, 1 when one was not. Jobs that we leave open are told on stderr."""
    pictures = [named(name) for name in arguments.pictures]
    asked = Asked(options_of(arguments), tenant_of(arguments), Lane(arguments.lane), webhook_of(arguments))
    errand = Errand(asked, make_folder(arguments.output), as_json=arguments.json)
    try:
        ended = asyncio.run(_run(errand, pictures, arguments.timeout, config))
    except TimeoutError:
        raise PipelineError(
            f"no answer within --timeout {arguments.timeout:g} s; is a worker running? (`upscale worker`)"
        ) from None
    finally:
        if errand.owed:
            print("\n".join(still_open(errand.owed, asked.tenant, declare(config.kafka.topic_prefix))), file=sys.stderr)
    return 0 if all(each.result for each in ended) else 1


async def _run(errand: Errand, pictures: Sequence[Picture], timeout: float | None, config: Settings) -> list[Ended]:
    async with asyncio.timeout(timeout), connect(config) as session:
        return await errand.run(session, pictures)


def named(name: str) -> Picture:
    """What an argument of the command line means. Raises `PipelineError` for a file that cannot be read."""
    scheme, colon, rest = name.partition(":")
    if colon and scheme.lower() in REMOTE_SCHEMES:
        # Whether it is a sound URL the service says, as to everybody.
        return Picture(name, PurePosixPath(rest.partition("?")[0].partition("#")[0]).stem or "result", path=None)
    path = Path(name)
    if not os.path.lexists(path):
        raise PipelineError(f"{name}: no such file, and not a URL of {', '.join(REMOTE_SCHEMES)}")
    check_readable(path)
    return Picture(name, path.stem, path)
