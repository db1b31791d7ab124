"""A whole deployment on this machine for tests: the embedded broker and store, and workers as processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from pipeline.embedded.stack import stack
from pipeline.settings import IntakeSettings, Settings, TelemetrySettings
from schemas.events import UpscaleRequested
from schemas.options import UpscaleOptions

MODEL = "realesr-animevideov3"
"""The smallest network with real weights."""
PATIENCE_SECONDS = 180.0
"""Far beyond what is normal: machines that test are busy."""


CONFIG = Settings(intake=IntakeSettings(drain_seconds=20), telemetry=TelemetrySettings(log_level="warning"))
"""A deadline of the drain short enough that a test ends soon after its work."""


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Settings]:
    """Broker, store, topics and bucket."""
    async with stack(folder, CONFIG) as running:
        yield running.local


def request(name: str, *, tenant: str = "test", **options: object) -> UpscaleRequested:
    """A request for an uploaded picture, with a job id of its own."""
    return UpscaleRequested(
        job_id=f"job-{uuid4()}",
        tenant=tenant,
        source=f"upload:{name}",
        options=UpscaleOptions.model_validate({"model": MODEL, **options}),
    )
