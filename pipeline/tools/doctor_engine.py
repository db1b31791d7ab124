"""What `upscale doctor` asks of the engine; apart, because it needs torch."""

import asyncio
from functools import partial

from pipeline.gpu import catalog, weights
from pipeline.gpu.device import DeviceProfile, choose, probe
from pipeline.gpu.lane import DeviceLane
from pipeline.gpu.model import load
from pipeline.settings import Settings


def device(config: Settings) -> str:
    """The device and what it computes in, after every model has given its known answer there. Raises `JobFailed`."""
    profile = choose(config.device, probe())
    asyncio.run(_self_test(profile, config))
    threads = f"{profile.launches} launches of {profile.threads} threads"
    return f"{profile.name}, {profile.precision}, {threads}; every network gives its known answer"


def weights_found(config: Settings) -> str:
    """Which weights are there, each verified against its digest. Raises `JobFailed`."""
    folder = config.device.models_dir or weights.default_folder()
    found = [f"{spec.name} {weights.load(spec, folder).sha256[:12]}" for spec in catalog.MODELS]
    return ", ".join(found)


async def _self_test(profile: DeviceProfile, config: Settings) -> None:
    folder = config.device.models_dir or weights.default_folder()
    async with DeviceLane(profile, partial(load, profile=profile, folder=folder)) as lane:
        for spec in catalog.MODELS:
            await lane.self_test(spec.name)
