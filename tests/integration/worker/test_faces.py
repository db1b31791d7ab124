"""Requests for faces, through broker, store and a worker of its own process.

The weights of the networks that restore and parse are random and of the official size; those that find faces and
upscale are real.
"""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.embedded.stack import worker
from pipeline.imaging.raster import Pixels
from pipeline.settings import Settings
from pipeline.storage.transfer import upload
from pipeline.tools.session import Session, connect
from schemas.events import JobEvent, UpscaleCompleted, UpscaleFailed, UpscaleRequested
from schemas.failures import FailureCode
from schemas.topics import Lane
from tests.support.deployment_local import PATIENCE_SECONDS, deployment, request
from tests.support.face_networks import installed

pytestmark = [pytest.mark.integration, pytest.mark.weights]


def portrait() -> bytes:
    """192 x 192 pixels of the astronaut with her face in the middle."""
    target = io.BytesIO()
    Image.fromarray(data.astronaut()[24:216, 128:320]).save(target, "PNG")
    return target.getvalue()


def having(local: Settings, folder: Path) -> Settings:
    """The same deployment, whose workers have these weights."""
    return local.model_copy(update={"device": local.device.model_copy(update={"models_dir": folder})})


async def ends(session: Session, *asked: UpscaleRequested) -> list[JobEvent]:
    """The last event of each, in order."""
    for each in asked:
        await session.ask(each, Lane.INTERACTIVE)
    last = {event.job_id: event async for event in session.events({one.job_id for one in asked}) if event.terminal}
    return [last[each.job_id] for each in asked]


async def pixels(session: Session, event: JobEvent, path: Path) -> Pixels:
    assert isinstance(event, UpscaleCompleted)
    with Image.open(await session.download(event, path)) as picture:
        return np.asarray(picture)


async def test_face_is_restored_and_a_missing_network_is_told_with_its_cure(tmp_path: Path) -> None:
    """Nothing but the face changes, and the completion names every network that had a part in it."""
    models = tmp_path / "models"
    for name in ("gfpgan-v1.4", "parsenet"):
        installed(name, models)
    async with asyncio.timeout(PATIENCE_SECONDS), deployment(tmp_path) as local, connect(local) as session:
        name = await upload(session.store, "test", portrait())
        async with worker(tmp_path, having(local, models)):
            plain, restored, lacking = await ends(
                session,
                request(name, scale=2),
                request(name, scale=2, face_enhance=True),
                request(name, face_enhance=True, faces={"model": "restoreformer"}),
            )

        before = await pixels(session, plain, tmp_path / "plain.png")
        after = await pixels(session, restored, tmp_path / "restored.png")

    assert before.shape == after.shape == (384, 384, 3)
    # What shares a launch with other windows may differ by a step.
    changed = (np.abs(before.astype(int) - after) > 8).any(axis=2)
    assert changed.any()
    assert not changed[:40].any()
    assert isinstance(restored, UpscaleCompleted)
    assert set(restored.provenance.face_weights_sha256) == {"gfpgan-v1.4", "parsenet", "retinaface-mobile0.25"}
    assert isinstance(lacking, UpscaleFailed)
    assert lacking.failure.code is FailureCode.MODEL_NOT_AVAILABLE
    assert "upscale models pull restoreformer" in lacking.failure.message
