"""The actions of `upscale models` that bring weights: `pull` and `import`."""

import argparse
import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pipeline.errors import PipelineError
from pipeline.gpu.models.catalog import needed
from pipeline.gpu.models.models_folder import MOST_OF_A_LINE, NAME, Manifest
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights
from pipeline.gpu.models.standing import faults, has_all
from pipeline.model_settings import ModelSettings
from pipeline.tools.download import open_session
from pipeline.tools.files import check_readable
from pipeline.tools.model_pull import Convert, Parcel, Pull, Pulled, located, parcels
from pipeline.variables import variable
from schemas.problems import shown

MIRROR = variable("models", "mirror")
HOW = (
    "What restores faces brings along what finds and parses them. A file that was begun and not ended is gone on with. "
    "Nothing is used before its SHA-256 is the known one."
)


def add_pull(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale models pull`."""
    parser.description = HOW
    parser.add_argument("names", metavar="NAME", nargs="+", help="as `models list` shows them")
    parser.add_argument(
        "--from", dest="source", metavar="PLACE",
        help=f"a folder or an address that has the published files (default: {MIRROR}, or the release addresses)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="say how it went as one line of JSON")


def add_import(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale models import`."""
    parser.add_argument("name", metavar="NAME", help="what jobs will ask for: small letters, digits, '.', '_' and '-'")
    parser.add_argument("file", metavar="FILE", type=Path, help="a .pth or a .safetensors")
    parser.add_argument("--licence", required=True, help="under which you may use it")
    parser.add_argument("--author", default="unknown", help="who made it")


def pull(arguments: argparse.Namespace, settings: ModelSettings, specs: Sequence[ModelSpec], folder: Path) -> int:
    """Exit code 0 when all of `specs`, and what they need, are installed and well."""
    every = list(dict.fromkeys(each for spec in specs for each in needed(spec)))
    lacking = [spec for spec in every if not has_all(spec, folder) or faults(spec, folder)]
    source = arguments.source or settings.mirror
    wanted = parcels(lacking)
    for parcel in wanted:
        located(parcel.published, source)
    done = asyncio.run(_pull(wanted, settings, source, folder)) if wanted else []
    if arguments.json:
        print(orjson.dumps(report(every, done)).decode())
    else:
        print("\n".join(lines(every, done)))
    return 1 if any(each.failure for each in done) else 0


async def _pull(wanted: Sequence[Parcel], settings: ModelSettings, source: str | None, folder: Path) -> list[Pulled]:
    convert = _converter(folder)
    with _progress() as progress:
        bars = {each: progress.add_task(each.published.file, total=each.published.size) for each in wanted}

        def told(parcel: Parcel, have: int) -> None:
            progress.update(bars[parcel], completed=have)

        async with open_session(settings) as session:
            return await Pull(session, source, folder, convert, settings.concurrency, told).all(wanted)


def report(specs: Sequence[ModelSpec], done: Sequence[Pulled]) -> dict[str, object]:
    """How it went, for a program: one failed file fails its model and no other."""
    errors = {each.parcel.spec.name: each.failure for each in done if each.failure}
    downloaded = list(dict.fromkeys(each.parcel.spec.name for each in done if each.parcel.spec.name not in errors))
    return {
        "success": not errors,
        "message": f"Downloaded {len(downloaded)} model(s)",
        "downloaded": downloaded,
        "failed": list(errors),
        "errors": errors,
        "already_installed": [spec.name for spec in specs if spec.name not in {*errors, *downloaded}],
    }


def lines(specs: Sequence[ModelSpec], done: Sequence[Pulled]) -> list[str]:
    """How it went, a line for each model; one of two files that failed is told."""
    errors = {each.parcel.spec.name: f"failed: {each.failure}" for each in done if each.failure}
    fetched = {each.parcel.spec.name: f"installed; licence: {each.parcel.spec.licence}" for each in done}
    return [f"{spec.name}: {(fetched | errors).get(spec.name, 'already installed')}" for spec in specs]


def import_file(arguments: argparse.Namespace, folder: Path) -> int:
    """Exit code 0 when it is installed. Raises `PipelineError`, and nothing is changed then."""
    if not re.fullmatch(NAME, arguments.name):
        raise PipelineError(f"NAME: must be 1 to 64 of a-z, 0-9, '.', '_' and '-', got {arguments.name[:100]!r}")
    if not arguments.licence.strip():
        raise PipelineError("--licence: must name the licence under which you may use the file, got ''")
    _check_line("--licence", arguments.licence.strip())
    _check_line("--author", arguments.author)
    check_readable(arguments.file)
    manifest = _imported(arguments, folder)
    assert manifest.detected is not None
    print(
        f"{manifest.model}: {manifest.architecture}, {manifest.detected.scale}x; workers know it from their next start"
    )
    return 0


def _check_line(option: str, text: str) -> None:
    if len(text) > MOST_OF_A_LINE or not text.isprintable():
        raise PipelineError(
            f"{option}: must be one line of at most {MOST_OF_A_LINE} printable characters, got {shown(text)}"
        )


def _imported(arguments: argparse.Namespace, folder: Path) -> Manifest:
    try:
        from pipeline.gpu.models.importing import Import, import_weights  # noqa: PLC0415  the other actions need no torch
    except ModuleNotFoundError as error:
        raise _without(error) from None
    wanted = Import(arguments.name, arguments.file, arguments.licence.strip(), arguments.author)
    try:
        return import_weights(wanted, folder, now=datetime.now(UTC))
    except ValueError as error:
        raise PipelineError(f"{arguments.file}: {error}") from None
    except OSError as error:
        raise PipelineError(f"{folder}: cannot be written: {error.strerror or error}; nothing was installed") from None


def _converter(folder: Path) -> Convert:
    try:
        from pipeline.gpu.models.convert import convert  # noqa: PLC0415  the other actions need no torch
    except ModuleNotFoundError as error:
        raise _without(error) from None

    def install(spec: ModelSpec, published: OfficialWeights, source: Path) -> Manifest:
        return convert(spec, published, source, folder, now=datetime.now(UTC))

    return install


def _without(error: ModuleNotFoundError) -> PipelineError:
    return PipelineError(f"{error.name} is not installed; install upscale-pipeline with its extra `worker`")


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
