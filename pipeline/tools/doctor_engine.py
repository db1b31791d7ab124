"""What `upscale doctor` asks of the engine; apart, because it needs torch."""

import asyncio
from functools import partial
from pathlib import Path

from pipeline.errors import JobFailed
from pipeline.gpu import selftest
from pipeline.gpu.device import DeviceProfile, choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
from pipeline.gpu.models import catalog, models_folder, weights
from pipeline.gpu.models.specs import ModelSpec
from pipeline.gpu.models.standing import Place, standing
from pipeline.settings import Settings
from pipeline.tools.ailing import Ailing
from schemas.failures import FailureCode


def device(config: Settings) -> str:
    """The device and what it computes in, after every model with a known answer has given it there. Raises `Ailing`."""
    profile = choose(config.device, probe())
    try:
        asyncio.run(_self_test(profile, config))
    except JobFailed as error:
        raise Ailing(f"{profile.name}: {error}", _cure(error, profile.name)) from None
    threads = f"{profile.launches} launches of {profile.threads} threads"
    answered = ", ".join(spec.name for spec in _with_answer())
    return f"{profile.name}, {profile.precision}, {threads}; known answers given by {answered}"


def weights_found(config: Settings) -> str:
    """Which weights are there, each verified against its digest. Raises `Ailing`."""
    folder = config.device.models_dir or weights.default_folder()
    every = (*catalog.MODELS, *models_folder.imported(folder))
    here = [spec for spec in every if spec.carried or standing(spec, folder).place is not Place.ABSENT]
    return ", ".join(f"{spec.name} {_digest(spec, folder)[:12]}" for spec in here)


def _digest(spec: ModelSpec, folder: Path) -> str:
    try:
        return weights.load(spec, folder).sha256
    except JobFailed as error:
        official = folder / spec.official.file if spec.official else None
        if official is not None and official.is_file():
            cure = f"put the published file at {official}, or remove it for the weights that come with the install"
        elif standing(spec, folder).place is Place.FOLDER:
            cure = str(error.details["cure"])
        else:
            cure = "install upscale-pipeline with its extra `worker` again"
        raise Ailing(str(error), cure) from None


def _cure(error: JobFailed, device_name: str) -> str:
    if error.code is FailureCode.MODEL_NOT_AVAILABLE:
        return "see `weights`"
    if error.code is FailureCode.DEVICE_OUT_OF_MEMORY:
        return f"see what else uses the memory of {device_name}"
    return f"keep work away from {device_name}: it does not compute what it should"


def _with_answer() -> tuple[ModelSpec, ...]:
    return tuple(spec for spec in catalog.MODELS if selftest.knows(spec.name))


async def _self_test(profile: DeviceProfile, config: Settings) -> None:
    folder = config.device.models_dir or weights.default_folder()
    async with DeviceLane(profile, partial(load, profile=profile, folder=folder)) as lane:
        for spec in _with_answer():
            await lane.self_test(spec.name)
