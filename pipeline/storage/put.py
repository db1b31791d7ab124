"""Write an object unless its key is taken: whole, or in parts when it is large, and never a part left behind."""

import asyncio
import hashlib
import io
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from pipeline.storage.attempts import attempt
from pipeline.storage.client import Store
from pipeline.storage.payload import Data, Payload
from pipeline.storage.s3_errors import STORE_ERRORS, Damaged, Meaning, meaning

log = structlog.get_logger(__name__)

PARTS_AT_A_TIME = 4
"""Of one object. One connection carries 50 to 90 MB/s, and other objects want some too."""
MAX_PARTS = 10_000
"""S3's own limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an object goes and what is said of it."""

    key: str
    content_type: str
    metadata: Mapping[str, str]
    """ASCII, 2 KB in all."""


async def put_once(store: Store, target: Target, payload: Payload) -> bool:
    """Store `payload` under the key; False when the key was taken, and then nothing has changed.

    After a lost answer a repeat may find its own object: that is False too. The store checks the SHA-256 of what
    arrives, and we check that it did. Raises `STORE_ERRORS` when all tries failed.
    """
    write = _put_whole if payload.size <= store.settings.multipart_threshold_bytes else _put_in_parts
    try:
        await write(store, target, payload)
    except STORE_ERRORS as error:
        if meaning(error) is Meaning.EXISTS or await _was_finished(store, target, error):
            return False
        raise
    return True


async def _was_finished(store: Store, target: Target, error: Exception) -> bool:
    """Whether an upload is unknown because it was completed: its answer got lost and the repeat found it gone."""
    if meaning(error) is not Meaning.MISSING:
        return False
    try:
        await attempt(lambda: store.s3.head_object(**_address(store, target)), store.settings)
    except STORE_ERRORS:
        return False
    return True


async def _put_whole(store: Store, target: Target, payload: Payload) -> None:
    data = await payload.read(0, payload.size)
    where, checksum = _address(store, target), _base64(bytes.fromhex(payload.sha256))

    async def put() -> None:
        answer = await store.s3.put_object(
            **where, **_description(target), Body=_body(data), ChecksumSHA256=checksum, IfNoneMatch="*"
        )
        await _confirm(store, where, answer, checksum, payload.size)

    await attempt(put, store.settings)


async def _put_in_parts(store: Store, target: Target, payload: Payload) -> None:
    where = _address(store, target)
    begun = await attempt(
        lambda: store.s3.create_multipart_upload(**where, **_description(target), ChecksumAlgorithm="SHA256"),
        store.settings,
    )
    upload = {**where, "UploadId": begun["UploadId"]}
    try:
        parts = await _send_parts(store, upload, payload)
        answer = await _complete(store, upload, parts)
    except BaseException:
        # Shielded: parts that nobody finishes or aborts are stored, and paid for, for ever.
        await asyncio.shield(_abort(store, upload))
        raise
    await _confirm(store, where, answer, _composite(parts), payload.size)


async def _send_parts(store: Store, upload: dict[str, Any], payload: Payload) -> list[dict[str, Any]]:
    places = asyncio.Semaphore(PARTS_AT_A_TIME)
    length = part_length(payload.size, store.settings.multipart_part_bytes)

    async def send(index: int) -> dict[str, Any]:
        async with places:
            data = await payload.read(index * length, length)
            return await _send_part(store, upload, index + 1, data)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(index)) for index in range(-(-payload.size // length))]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _send_part(store: Store, upload: dict[str, Any], number: int, data: Data) -> dict[str, Any]:
    checksum = _base64((await asyncio.to_thread(hashlib.sha256, data)).digest())
    sent = await attempt(
        lambda: store.s3.upload_part(**upload, PartNumber=number, Body=_body(data), ChecksumSHA256=checksum),
        store.settings,
    )
    return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}


async def _complete(store: Store, upload: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    return await attempt(
        lambda: store.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"),
        store.settings,
    )


async def _abort(store: Store, upload: dict[str, Any]) -> None:
    try:
        await attempt(lambda: store.s3.abort_multipart_upload(**upload), store.settings)
    except STORE_ERRORS as error:
        # A finished upload cannot be aborted, and a store that is away cannot be told: its lifecycle rule is next.
        log.warning("multipart_abort_failed", key=upload["Key"], error=type(error).__name__)


async def _confirm(store: Store, where: dict[str, Any], answer: dict[str, Any], checksum: str, size: int) -> None:
    """Believe a store that repeats our checksum; ask one that does not know checksums for the size at least.

    What is damaged is removed, since nothing else could ever be stored under its key. Raises `Damaged`.
    """
    repeated = answer.get("ChecksumSHA256")
    whole = repeated == checksum if repeated else (await store.s3.head_object(**where))["ContentLength"] == size
    if not whole:
        await store.s3.delete_object(**where)
        raise Damaged(where["Key"])


def _composite(parts: list[dict[str, Any]]) -> str:
    """The checksum S3 computes for an object sent in parts: that of the parts' checksums, and how many they are."""
    digests = b"".join(b64decode(part["ChecksumSHA256"]) for part in parts)
    return f"{_base64(hashlib.sha256(digests).digest())}-{len(parts)}"


def part_length(size: int, preferred: int) -> int:
    """Bytes of each part but the last: `preferred`, or more when that would make too many parts."""
    return max(preferred, -(-size // MAX_PARTS))


def _address(store: Store, target: Target) -> dict[str, Any]:
    return {"Bucket": store.settings.bucket, "Key": target.key}


def _description(target: Target) -> dict[str, Any]:
    return {"ContentType": target.content_type, "Metadata": dict(target.metadata)}


def _body(data: Data) -> io.BytesIO:
    """A stream, which the client sends piece by piece, giving way in between; plain bytes it would send in one go."""
    return io.BytesIO(data)


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
