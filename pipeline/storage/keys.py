"""Where things lie in our bucket: pure functions of what they are, so that a repeat arrives at the same place."""

from dataclasses import dataclass
from hashlib import sha256

import orjson

from schemas.options import UpscaleOptions

RESULTS = "results"
UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class ResultIdentity:
    """All that decides which picture a result is. Equal identities mean the same object."""

    tenant: str
    job_id: str
    source: str
    """The reference as the request wrote it."""
    options: UpscaleOptions
    model: str
    """The network's exact name; the options may spell it otherwise."""
    weights_sha256: str
    """Digest of the weights, or of all digests together where several networks take part."""
    pixel_path: str
    """Version of the code that computes pixels: raised when the same input gives other pixels."""


def result_key(identity: ResultIdentity) -> str:
    """`results/TENANT/JOB/HASH.EXT`, HASH being the SHA-256 over what the picture depends on.

    A worker with other weights or other pixel code therefore writes elsewhere instead of passing off the older
    result as its own. Options that were spelt differently but mean the same give the same key.
    """
    options = identity.options
    digest = sha256(orjson.dumps(_canonical(identity), option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{RESULTS}/{identity.tenant}/{identity.job_id}/{digest}.{options.output_format.extension}"


def canonical_options(identity: ResultIdentity) -> dict[str, object]:
    """The options with every default written out and the model under its exact name."""
    return identity.options.model_copy(update={"model": identity.model}).model_dump(mode="json")


def _canonical(identity: ResultIdentity) -> dict[str, object]:
    """What is left at its default is not written: an option that a later version adds moves no earlier result.

    A default that is changed gives other pixels for the same request: raise `pixel_path` with it.
    """
    options = identity.options.model_copy(update={"model": identity.model})
    return {
        "options": options.model_dump(mode="json", exclude_defaults=True) | {"model": identity.model},
        "pixel_path": identity.pixel_path,
        "source": identity.source,
        "weights_sha256": identity.weights_sha256,
    }


def upload_key(tenant: str, name: str) -> str:
    """Where `upload:NAME` of a tenant lies in our bucket."""
    return f"{UPLOADS}/{tenant}/{name}"


def is_result(key: str) -> bool:
    """Whether an object of our bucket lies where results do, whoever reads the key as a path included."""
    room, _, rest = key.partition("/")
    return room == RESULTS and not {"", ".", ".."} & set(rest.split("/"))
