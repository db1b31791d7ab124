"""`upscale submit FILE|URL|s3://…`: send pictures, follow them, download the results."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tools.asking import add_options, options_of
from pipeline.tools.display import Display
from pipeline.tools.files import check_readable, make_folder
from pipeline.tools.session import Session, connect
from schemas.callbacks import Webhook
from schemas.events import JobEvent, Tenant, UpscaleCompleted, UpscaleRequested
from schemas.options import UpscaleOptions
from schemas.problems import problems
from schemas.topics import Lane

REMOTE_SCHEMES = ("http", "https", "s3", "upload")


@dataclass(frozen=True, slots=True)
class Picture:
    """One thing to upscale, as it was named on the command line."""

    name: str
    stem: str
    """What its result is called after, without extension."""
    path: Path | None
    """Local file, to be uploaded first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the pictures of one call are to be upscaled."""

    options: UpscaleOptions
    tenant: str
    lane: Lane
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How one picture ended."""

    picture: Picture
    event: JobEvent
    result: Path | None
    """The downloaded file; None when there is none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale submit`."""
    parser.add_argument("pictures", nargs="+", metavar="FILE|URL|s3://BUCKET/KEY", help="what to upscale")
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), help="folder for the results (default: out)")
    parser.add_argument("--lane", choices=[str(lane) for lane in Lane], default=str(Lane.INTERACTIVE))
    parser.add_argument("--tenant", default="default", help="on whose behalf (default: default)")
    parser.add_argument("--webhook", metavar="URL", default=None, help="call this address when a job has ended")
    parser.add_argument("--timeout", type=float, default=None, metavar="SECONDS", help="give up after this long")
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON instead")
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
    """Exit code 0 when every picture was upscaled, 1 when one was not."""
    pictures = [named(name) for name in arguments.pictures]
    asked = Asked(options_of(arguments), tenant_of(arguments), Lane(arguments.lane), webhook_of(arguments))
    make_folder(arguments.output)
    try:
        ended = asyncio.run(_submit(pictures, asked, arguments, config))
    except TimeoutError:
        raise PipelineError(
            f"no answer within --timeout {arguments.timeout:g} s; is a worker running? (`upscale worker`)"
        ) from None
    return 0 if all(each.result for each in ended) else 1


async def _submit(
    pictures: Sequence[Picture], asked: Asked, arguments: argparse.Namespace, config: Settings
) -> list[Ended]:
    async with asyncio.timeout(arguments.timeout), connect(config) as session:
        return await submit(session, pictures, asked, arguments.output, as_json=arguments.json)


def named(name: str) -> Picture:
    """What an argument of the command line means. Raises `PipelineError` for a file that cannot be read."""
    if urlsplit(name).scheme in REMOTE_SCHEMES:
        return Picture(name, Path(urlsplit(name).path).stem or "result", path=None)
    path = Path(name)
    if not path.exists():
        raise PipelineError(f"{name}: no such file, and not a URL of {', '.join(REMOTE_SCHEMES)}")
    check_readable(path)
    return Picture(path.name, path.stem, path)


async def submit(
    session: Session, pictures: Sequence[Picture], asked: Asked, folder: Path, *, as_json: bool = False
) -> list[Ended]:
    """Upload, ask, show progress and download into `folder`, which exists; returns when every picture has ended."""
    jobs = {str(uuid4()): picture for picture in pictures}
    for job_id, picture in jobs.items():
        source = await session.upload(picture.path, asked.tenant) if picture.path else picture.name
        request = UpscaleRequested(
            job_id=job_id, tenant=asked.tenant, source=source, options=asked.options, webhook=asked.webhook
        )
        await session.ask(request, asked.lane)
    ended: list[Ended] = []
    with Display(Console(quiet=as_json), {job_id: picture.name for job_id, picture in jobs.items()}) as display:
        async for event in session.events(set(jobs)):
            display.show(event)
            if as_json:
                print(json_line(event), flush=True)
            if event.terminal:
                ended.append(await _ended(session, jobs[event.job_id], event, folder))
    return ended


def json_line(event: JobEvent) -> str:
    """An event with its type, since nothing around it says what it is."""
    return orjson.dumps({"type": event.type, **event.model_dump(mode="json", exclude_none=True)}).decode()


async def _ended(session: Session, picture: Picture, event: JobEvent, folder: Path) -> Ended:
    if not isinstance(event, UpscaleCompleted):
        return Ended(picture, event, result=None)
    return Ended(picture, event, await session.download(event, target(folder, picture, event)))


def target(folder: Path, picture: Picture, event: UpscaleCompleted) -> Path:
    """Where a result goes: `NAME_x4.png`, with the job's id added rather than overwriting a file."""
    stem = f"{picture.stem}_x{event.result.width / event.source_width:.3g}"
    path = folder / f"{stem}.{event.result.format.extension}"
    return path.with_stem(f"{stem}_{event.job_id}") if path.exists() else path
