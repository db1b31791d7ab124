"""Every way a job may fail: where, through whose fault, and whether trying again can help."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.stages import Stage


class Fault(StrEnum):
    """Who has to act."""

    CALLER = "caller"  # the request or its picture; the same request fails again
    SOURCE = "source"  # the server that holds the picture
    SYSTEM = "system"  # ours; never charged to a caller


class FailureCode(StrEnum):
    """The stable word in `upscale.failed`; texts may change, codes may not."""

    INVALID_REQUEST = "invalid_request"
    INVALID_OPTIONS = "invalid_options"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_NOT_AVAILABLE = "model_not_available"
    MODEL_UNSUPPORTED = "model_unsupported"
    EXPIRED = "expired"

    URL_SCHEME_NOT_ALLOWED = "url_scheme_not_allowed"
    URL_BLOCKED = "url_blocked"
    SOURCE_STATUS = "source_status"
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_TLS_ERROR = "source_tls_error"
    SOURCE_PROTOCOL_ERROR = "source_protocol_error"
    SOURCE_ENCODING_UNSUPPORTED = "source_encoding_unsupported"
    SOURCE_TOO_MANY_REDIRECTS = "source_too_many_redirects"
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_TRUNCATED = "source_truncated"
    SOURCE_TIMEOUT = "source_timeout"
    SOURCE_EMPTY = "source_empty"

    IMAGE_FORMAT_UNSUPPORTED = "image_format_unsupported"
    IMAGE_CORRUPT = "image_corrupt"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_TOO_SMALL = "image_too_small"
    IMAGE_ASPECT_UNSUPPORTED = "image_aspect_unsupported"
    IMAGE_METADATA_TOO_LARGE = "image_metadata_too_large"
    IMAGE_TOO_COMPLEX = "image_too_complex"
    IMAGE_DECODE_TIMEOUT = "image_decode_timeout"
    IMAGE_DECODER_CRASHED = "image_decoder_crashed"
    OUTPUT_TOO_LARGE = "output_too_large"

    DEVICE_OUT_OF_MEMORY = "device_out_of_memory"
    DEVICE_FAILED = "device_failed"
    STORE_UNAVAILABLE = "store_unavailable"
    BROKER_UNAVAILABLE = "broker_unavailable"
    CRASH_LOOP = "crash_loop"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One row of the table below."""

    stage: Stage | None
    """Where it arises; None when before any stage, or at whichever stage was running."""
    fault: Fault
    retryable: bool
    """Whether the same request may succeed later."""
    http_status: int
    """What a synchronous HTTP answer says for it."""
    meaning: str
    """One sentence for whoever reads the code in an event."""


def _caller(stage: Stage | None, meaning: str, status: int = 422) -> FailureKind:
    return FailureKind(stage, Fault.CALLER, retryable=False, http_status=status, meaning=meaning)


def _source(meaning: str, status: int = 502) -> FailureKind:
    return FailureKind(Stage.FETCH, Fault.SOURCE, retryable=True, http_status=status, meaning=meaning)


def _system(stage: Stage | None, meaning: str, status: int = 500, *, retryable: bool = True) -> FailureKind:
    return FailureKind(stage, Fault.SYSTEM, retryable=retryable, http_status=status, meaning=meaning)


FAILURES: dict[FailureCode, FailureKind] = {
    FailureCode.INVALID_REQUEST: _caller(
        None, "A field of the request breaks its rule; the message names the field, the limit and the value.", 400
    ),
    FailureCode.INVALID_OPTIONS: _caller(None, "An option is unknown, out of range, or contradicts another."),
    FailureCode.MODEL_NOT_FOUND: _caller(None, "No network of that name; the message lists the names that exist.", 404),
    FailureCode.MODEL_NOT_AVAILABLE: _system(
        None, "The network exists but its weights are not installed on this deployment.", 409, retryable=False
    ),
    FailureCode.MODEL_UNSUPPORTED: _system(
        None,
        "The file of weights holds no network that can be used here; the message says what was found.",
        422,
        retryable=False,
    ),
    FailureCode.EXPIRED: _caller(
        None,
        "The deadline passed before the result was stored; told as an event of its own type where one was named.",
        408,
    ),
    FailureCode.URL_SCHEME_NOT_ALLOWED: _caller(
        Stage.FETCH, "The source is not `https://`, `s3://` or `upload:`, or is a plain `http://` where that is off."
    ),
    FailureCode.URL_BLOCKED: _caller(
        Stage.FETCH,
        "The source leads to an address, port or bucket that callers may not reach, or its name does not exist; which "
        "of these is not told, since it would say what names there are inside.",
    ),
    FailureCode.SOURCE_STATUS: _caller(
        Stage.FETCH, "The source answered that there is no such picture, or not for us."
    ),
    FailureCode.SOURCE_UNAVAILABLE: _source("The source is overloaded or out of order at the moment."),
    FailureCode.SOURCE_UNREACHABLE: _source(
        "No connection to the source: its name cannot be looked up at the moment, or nobody answers there."
    ),
    FailureCode.SOURCE_TLS_ERROR: _caller(Stage.FETCH, "The certificate of the source does not hold."),
    FailureCode.SOURCE_PROTOCOL_ERROR: _caller(Stage.FETCH, "The source does not speak HTTP as it should."),
    FailureCode.SOURCE_ENCODING_UNSUPPORTED: _caller(
        Stage.FETCH, "The source sent a compressed body although none was asked for."
    ),
    FailureCode.SOURCE_TOO_MANY_REDIRECTS: _caller(Stage.FETCH, "The source redirects too often, or in a circle."),
    FailureCode.SOURCE_TOO_LARGE: _caller(Stage.FETCH, "The file has more bytes than the limit.", 413),
    FailureCode.SOURCE_TRUNCATED: _source("Fewer bytes came than the source had announced."),
    FailureCode.SOURCE_TIMEOUT: _source("The source was too slow.", 504),
    FailureCode.SOURCE_EMPTY: _caller(Stage.FETCH, "The source has no bytes."),
    FailureCode.IMAGE_FORMAT_UNSUPPORTED: _caller(
        Stage.DECODE, "The bytes are not a picture of a format that is read.", 415
    ),
    FailureCode.IMAGE_CORRUPT: _caller(Stage.DECODE, "The file is damaged."),
    FailureCode.IMAGE_TRUNCATED: _caller(Stage.DECODE, "The file ends before the picture does."),
    FailureCode.IMAGE_TOO_LARGE: _caller(Stage.DECODE, "More pixels, or a longer side, than the limit.", 413),
    FailureCode.IMAGE_TOO_SMALL: _caller(Stage.DECODE, "A side shorter than the limit."),
    FailureCode.IMAGE_ASPECT_UNSUPPORTED: _caller(Stage.DECODE, "Far longer in one direction than in the other."),
    FailureCode.IMAGE_METADATA_TOO_LARGE: _caller(
        Stage.DECODE, "Colour profile, EXIF or text beyond what a picture needs."
    ),
    FailureCode.IMAGE_TOO_COMPLEX: _caller(Stage.DECODE, "Decoding would take more memory than one picture may have."),
    FailureCode.IMAGE_DECODE_TIMEOUT: _caller(Stage.DECODE, "Decoding took longer than one picture may take."),
    FailureCode.IMAGE_DECODER_CRASHED: _caller(Stage.DECODE, "The decoder died of this picture, twice."),
    FailureCode.OUTPUT_TOO_LARGE: _caller(
        Stage.TILE,
        "The result would have more pixels, or a longer side, than the limit or its file format allows.",
        413,
    ),
    FailureCode.DEVICE_OUT_OF_MEMORY: _system(
        Stage.INFER, "The device has too little memory even for a single small tile."
    ),
    FailureCode.DEVICE_FAILED: _system(Stage.INFER, "The device gave no usable numbers."),
    FailureCode.STORE_UNAVAILABLE: _system(Stage.STORE, "The object store did not take the result.", 503),
    FailureCode.BROKER_UNAVAILABLE: _system(Stage.PUBLISH, "The broker did not acknowledge in time.", 503),
    FailureCode.CRASH_LOOP: _system(
        None, "Each worker that began the job died before its end; it is not begun again.", retryable=False
    ),
    FailureCode.INTERNAL: _system(None, "An error of the program; its log has the details."),
}
