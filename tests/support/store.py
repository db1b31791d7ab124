"""A real store for tests, and the small things they store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pipeline.embedded.store import embedded_store
from pipeline.settings import StoreSettings
from pipeline.storage.client import Store, connect, ensure_bucket
from pipeline.storage.keys import ResultIdentity
from pipeline.storage.objects import SourceFacts
from schemas.options import OutputFormat, UpscaleOptions

SHARED_BUCKET = "shared-pictures"


@asynccontextmanager
async def running_store(data: Path) -> AsyncIterator[StoreSettings]:
    """The embedded store with our bucket and one that sources may name; started once for a whole test session."""
    async with embedded_store(data, buckets=("upscale", SHARED_BUCKET)) as store:
        yield store.settings.model_copy(update={"source_buckets": (SHARED_BUCKET,)})


@asynccontextmanager
async def fresh_bucket(settings: StoreSettings) -> AsyncIterator[Store]:
    """A client on a bucket that nobody else uses."""
    async with connect(settings.model_copy(update={"bucket": f"test-{uuid4().hex}"})) as store:
        await ensure_bucket(store)
        yield store


SOURCE = SourceFacts(4, 3, ("icc_ignored",))
"""What a result was made from."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Stands for an encoded picture; its bytes need not be one."""

    data: bytes
    format: OutputFormat = OutputFormat.PNG
    width: int = 64
    height: int = 48


def make_identity(job_id: str = "job-1", tenant: str = "acme", **options: object) -> ResultIdentity:
    return ResultIdentity(
        tenant=tenant,
        job_id=job_id,
        source="https://pictures.example/cat.png",
        options=UpscaleOptions.model_validate(options),
        model="realesrgan-x4plus",
        weights_sha256="4f" * 32,
        pixel_path="1",
    )


async def open_uploads(store: Store) -> list[str]:
    """Keys of multipart uploads that were begun and neither finished nor aborted."""
    client: object = store.s3
    answer = await client.list_multipart_uploads(Bucket=store.settings.bucket)  # type: ignore[attr-defined]
    return [upload["Key"] for upload in answer.get("Uploads", [])]
