"""A finished picture becomes `StoredObject`: same job, same key, safe to repeat; the first writer's object stands."""

import json
from typing import Any, Protocol

from pipeline.errors import JobFailed
from pipeline.storage.attempts import attempt
from pipeline.storage.client import Store
from pipeline.storage.keys import ResultIdentity, canonical_options, result_key
from pipeline.storage.objects import SourceFacts, StoredObject
from pipeline.storage.payload import Data, Payload, payload_of_bytes
from pipeline.storage.put import Target, put_once
from pipeline.storage.s3_errors import STORE_ERRORS, Meaning, meaning
from schemas.failures import FailureCode
from schemas.options import OutputFormat


class Encoded(Protocol):
    """What we need of an encoded picture."""

    @property
    def data(self) -> Data: ...
    @property
    def format(self) -> OutputFormat: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


async def store_result(
    store: Store, image: Encoded, source: SourceFacts, identity: ResultIdentity, *, version: str
) -> StoredObject:
    """Store `image`, or find what another worker stored for the same identity: its facts then are the answer.

    Two workers may compute different bytes for one picture (other hardware sums in another order); whoever comes
    second must not announce a digest that the object does not have. `version` is the release of the program. Raises
    `JobFailed` with `store_unavailable` or `internal`.
    """
    payload = await payload_of_bytes(image.data)
    ours = StoredObject(
        bucket=store.settings.bucket,
        key=result_key(identity),
        sha256=payload.sha256,
        size=payload.size,
        format=image.format,
        width=image.width,
        height=image.height,
        source=source,
    )
    return ours if await _put(store, ours, identity, payload, version) else await _winner(store, ours.key)


async def find_result(store: Store, identity: ResultIdentity) -> StoredObject | None:
    """What is stored for the identity already, so that a redelivered job need not be computed again.

    Raises `JobFailed` with `store_unavailable`.
    """
    return await _find(store, result_key(identity))


async def _put(store: Store, ours: StoredObject, identity: ResultIdentity, payload: Payload, version: str) -> bool:
    target = Target(ours.key, ours.format.media_type, describe(ours, identity, version))
    try:
        return await put_once(store, target, payload)
    except STORE_ERRORS as error:
        raise store_failure("took no result", error) from error


async def _winner(store: Store, key: str) -> StoredObject:
    found = await _find(store, key)
    if found is None:
        raise JobFailed(FailureCode.INTERNAL, "the result was removed while it was being stored")
    return found


async def _find(store: Store, key: str) -> StoredObject | None:
    try:
        head = await attempt(lambda: store.s3.head_object(Bucket=store.settings.bucket, Key=key), store.settings)
    except STORE_ERRORS as error:
        if meaning(error) is Meaning.MISSING:
            return None
        raise store_failure("does not answer", error) from error
    return read_head(store.settings.bucket, key, head)


def describe(stored: StoredObject, identity: ResultIdentity, version: str) -> dict[str, str]:
    """The object's metadata: its facts for whoever comes second, and its provenance for whoever finds it later."""
    return {
        "sha256": stored.sha256,
        "width": str(stored.width),
        "height": str(stored.height),
        "format": stored.format.value,
        "source-width": str(stored.source.width),
        "source-height": str(stored.source.height),
        # Stores keep no empty header: an object without it had nothing to warn of.
        "warnings": ",".join(stored.source.warnings),
        "job-id": identity.job_id,
        "model": identity.model,
        "weights-sha256": identity.weights_sha256,
        # Escaped: a header holds no other letters, and the store would refuse a picture that is already computed.
        "options": json.dumps(canonical_options(identity), sort_keys=True, separators=(",", ":")),
        "version": version,
    }


def read_head(bucket: str, key: str, head: dict[str, Any]) -> StoredObject:
    """The facts out of what `describe` left. Raises `JobFailed` when somebody else wrote the object."""
    try:
        facts = head["Metadata"]
        return StoredObject(
            bucket=bucket,
            key=key,
            sha256=facts["sha256"],
            size=int(head["ContentLength"]),
            format=OutputFormat(facts["format"]),
            width=int(facts["width"]),
            height=int(facts["height"]),
            source=SourceFacts(
                int(facts["source-width"]),
                int(facts["source-height"]),
                tuple(word for word in facts.get("warnings", "").split(",") if word),
            ),
        )
    except (KeyError, ValueError) as error:
        raise JobFailed(FailureCode.INTERNAL, "something that is not ours lies in the place of the result") from error


def store_failure(what: str, error: Exception) -> JobFailed:
    """One of `STORE_ERRORS` as the job's failure: `store_unavailable` when it may pass or an operator can cure it.

    What the store refuses for this object alone would be refused again, however long one waits.
    """
    code = FailureCode.INTERNAL if meaning(error) is Meaning.REFUSED else FailureCode.STORE_UNAVAILABLE
    return JobFailed(code, f"the object store {what}")
