"""`upscale bench quality`: what every network makes of poor photographs, beside bicubic and beside upstream's program.

Each photograph is made poor (`degrade.py`), enlarged to its old size by every method, and compared with itself. The
networks invent detail: PSNR does not thank them for it, so read it together with the other figures and with the sheet.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson
from PIL import Image
from rich.console import Console

from pipeline.errors import PipelineError
from pipeline.gpu import device, reference
from pipeline.gpu.device import DeviceProfile
from pipeline.gpu.models import catalog, weights
from pipeline.gpu.models.specs import ModelSpec, Purpose, RRDBShape, SRVGGShape
from pipeline.gpu.models.standing import Place, standing
from pipeline.gpu.networks.niqe import niqe
from pipeline.imaging.raster import Pixels
from pipeline.settings import DeviceSettings, Settings
from pipeline.tools.contact_sheet import Column, contact_sheet
from pipeline.tools.degrade import FACTOR, degraded
from pipeline.tools.engine import engine
from pipeline.tools.photographs import SUBJECTS, Scene, scene
from pipeline.tools.quality import ORIGINAL, Report, Result, scores, table

BICUBIC = "bicubic"
UPSTREAM = "upstream"
SMALLEST = 128

Enlarge = Callable[[Sequence[Pixels]], Awaitable[list[Pixels]]]
"""(height, width, 3) uint8 each -> each `FACTOR` times as large, in order."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to enlarge."""

    model: str
    by: str
    """Whose program: ours, upstream's, or nobody's where there is no network."""
    enlarge: Enlarge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `upscale bench quality`."""
    parser.add_argument(
        "--model", action="append", help="only this network; may be repeated (default: all that are here)"
    )
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--size", type=int, default=512, help="longest side of the photographs' parts, pixels")
    parser.add_argument("--no-upstream", action="store_true", help="leave upstream's program out: half the time")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures to this file")
    parser.add_argument("--contact-sheet", type=Path, default=None, help="also write one picture of all results")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was measured; it never judges. Raises `PipelineError` and `JobFailed`."""
    if arguments.size < SMALLEST:
        raise PipelineError(f"--size: must be at least {SMALLEST}, got {arguments.size}")
    folder = config.device.models_dir or weights.default_folder()
    specs = [catalog.find(name) for name in arguments.model] if arguments.model else available(folder)
    profile = _profile(config.device, arguments.precision)
    scenes = [scene(subject, arguments.size, multiple=FACTOR) for subject in SUBJECTS]
    with methods(specs, profile, folder, beside_upstream=not arguments.no_upstream) as every:
        results = asyncio.run(_results(every, scenes))
    report = Report(profile.precision, profile.name, tuple(scores(results, scenes, niqe)))
    Console(highlight=False).print(table(report))
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if arguments.contact_sheet:
        contact_sheet(scenes, _columns(results, scenes)).save(arguments.contact_sheet, quality=85)
    return 0


def available(folder: Path) -> list[ModelSpec]:
    """The upscaling networks that anybody may use and whose weights are here."""
    return [
        spec
        for spec in catalog.MODELS
        if spec.purpose is Purpose.UPSCALE and not spec.opt_in and standing(spec, folder).place is not Place.ABSENT
    ]


def _profile(configured: DeviceSettings, precision: str) -> DeviceProfile:
    return device.choose(configured.model_copy(update={"precision": precision}), device.probe())


@contextmanager
def methods(
    specs: Sequence[ModelSpec], profile: DeviceProfile, folder: Path, *, beside_upstream: bool
) -> Iterator[list[Method]]:
    """Bicubic, every network by our engine, and by upstream's program where that knows it."""
    with tempfile.TemporaryDirectory() as scratch:
        every = [Method(BICUBIC, "", _bicubic)]
        for spec in specs:
            every.append(Method(spec.name, "ours", _ours(spec, profile, folder)))
            if beside_upstream and isinstance(spec.architecture, RRDBShape | SRVGGShape):
                every.append(Method(spec.name, UPSTREAM, _upstreams(spec, profile.device, folder, Path(scratch))))
        yield every


async def _bicubic(pictures: Sequence[Pixels]) -> list[Pixels]:
    return [
        np.asarray(
            Image.fromarray(picture).resize(
                (FACTOR * picture.shape[1], FACTOR * picture.shape[0]), Image.Resampling.BICUBIC
            )
        )
        for picture in pictures
    ]


def _ours(spec: ModelSpec, profile: DeviceProfile, folder: Path) -> Enlarge:
    async def enlarge(pictures: Sequence[Pixels]) -> list[Pixels]:
        async with engine(spec, profile, folder, pad=spec.pad, sides=profile.sides) as opened:
            return await opened.upscale(pictures, FACTOR)

    return enlarge


def _upstreams(spec: ModelSpec, on: str, folder: Path, scratch: Path) -> Enlarge:
    """Whole pictures in float32, on the device that ours is on."""

    def run(pictures: Sequence[Pixels]) -> list[Pixels]:
        upstream = reference.enhancer(spec, folder, scratch, reference.Manner(on))
        return [reference.enhance(upstream, picture, FACTOR) for picture in pictures]

    return lambda pictures: asyncio.to_thread(run, pictures)


async def _results(every: Sequence[Method], scenes: Sequence[Scene]) -> list[Result]:
    """One network after the other, so that no two are in memory."""
    poor = [degraded(each.pixels) for each in scenes]
    original = Result(ORIGINAL, "", tuple(each.pixels for each in scenes))
    return [original, *[Result(each.model, each.by, tuple(await each.enlarge(poor))) for each in every]]


def _columns(results: Sequence[Result], scenes: Sequence[Scene]) -> list[Column]:
    """What a network is given, what each method makes of it, and the original. Upstream's looks like ours."""
    given: list[Pixels] = [degraded(each.pixels).repeat(FACTOR, axis=0).repeat(FACTOR, axis=1) for each in scenes]
    made = [Column(each.model, each.pictures) for each in results if each.by != UPSTREAM]
    return [Column("given", tuple(given)), *made[1:], replace(made[0], title=ORIGINAL)]
