"""Files to the store and results from it, for the tools: bounded memory, and verified."""

import asyncio
import hashlib
from pathlib import Path
from uuid import uuid4

from pipeline.errors import PipelineError
from pipeline.storage.attempts import attempt
from pipeline.storage.client import Store, explain
from pipeline.storage.keys import upload_key
from pipeline.storage.objects import StoredObject
from pipeline.storage.payload import payload_of_bytes, payload_of_file
from pipeline.storage.put import Target, put_once
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning

CHUNK_BYTES = 2**20


class TransferFailed(PipelineError):
    """A file did not get across; the text is for whoever runs the tool."""


async def upload(store: Store, tenant: str, content: Path | bytes) -> str:
    """Put a picture file where `upload:NAME` finds it, and return NAME, which is the SHA-256 of the content.

    The same content uploaded again is not stored twice. Raises `TransferFailed` for a file that cannot be read,
    `ServiceUnreachable` and `ServiceRefused`.
    """
    name = content if isinstance(content, Path) else "the picture"
    try:
        payload = await (payload_of_file(content) if isinstance(content, Path) else payload_of_bytes(content))
        target = Target(upload_key(tenant, payload.sha256), "application/octet-stream", {"sha256": payload.sha256})
        await put_once(store, target, payload)
    except STORE_ERRORS as error:
        raise explain(error, store.settings) from error
    except OSError as error:
        raise TransferFailed(f"{name}: cannot be read: {error.strerror}") from error
    return payload.sha256


async def download(store: Store, stored: StoredObject, path: Path) -> None:
    """Write the object to `path`; it appears there whole and verified, or not at all.

    Raises `TransferFailed` when it is gone, is not what was stored or cannot be written, `ServiceUnreachable` and
    `ServiceRefused`.
    """
    # Not made of the name, which may be as long as a name can be.
    partial = path.with_name(f".{uuid4()}.part")
    try:
        # No bound on the whole: a large result over a thin line is slow, not broken; each read has its own timeout.
        digest = await attempt(lambda: _write(store, stored, partial), store.settings, bounded=False)
        if digest != stored.sha256:
            raise TransferFailed(f"{stored.url}: its content does not have the SHA-256 {stored.sha256}, got {digest}")
        partial.replace(path)
    except STORE_ERRORS as error:
        if meaning(error) is Meaning.MISSING:
            raise TransferFailed(f"{stored.url}: there is no such object any more") from error
        raise explain(error, store.settings) from error
    except OSError as error:
        raise TransferFailed(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


async def _write(store: Store, stored: StoredObject, partial: Path) -> str:
    answer = await store.s3.get_object(Bucket=stored.bucket, Key=stored.key)
    digest = hashlib.sha256()
    body = answer["Body"]
    with partial.open("wb") as file:
        async with body:
            while chunk := await body.read(CHUNK_BYTES):
                await asyncio.to_thread(file.write, chunk)
                await asyncio.to_thread(digest.update, chunk)
    return digest.hexdigest()
