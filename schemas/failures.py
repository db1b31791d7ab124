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


def _caller(stage: Stage | None, status: int = 422) -> FailureKind:
    return FailureKind(stage, Fault.CALLER, retryable=False, http_status=status)


def _source(status: int = 502) -> FailureKind:
    return FailureKind(Stage.FETCH, Fault.SOURCE, retryable=True, http_status=status)


def _system(stage: Stage | None, status: int = 500, *, retryable: bool = True) -> FailureKind:
    return FailureKind(stage, Fault.SYSTEM, retryable=retryable, http_status=status)


FAILURES: dict[FailureCode, FailureKind] = {
    FailureCode.INVALID_REQUEST: _caller(None, 400),
    FailureCode.INVALID_OPTIONS: _caller(None),
    FailureCode.MODEL_NOT_FOUND: _caller(None, 404),
    FailureCode.MODEL_NOT_AVAILABLE: _system(None, 409, retryable=False),
    FailureCode.EXPIRED: _caller(None, 408),
    FailureCode.URL_SCHEME_NOT_ALLOWED: _caller(Stage.FETCH),
    FailureCode.URL_BLOCKED: _caller(Stage.FETCH),
    FailureCode.SOURCE_STATUS: _caller(Stage.FETCH),
    FailureCode.SOURCE_UNAVAILABLE: _source(),
    FailureCode.SOURCE_UNREACHABLE: _source(),
    FailureCode.SOURCE_TLS_ERROR: _caller(Stage.FETCH),
    FailureCode.SOURCE_PROTOCOL_ERROR: _caller(Stage.FETCH),
    FailureCode.SOURCE_ENCODING_UNSUPPORTED: _caller(Stage.FETCH),
    FailureCode.SOURCE_TOO_MANY_REDIRECTS: _caller(Stage.FETCH),
    FailureCode.SOURCE_TOO_LARGE: _caller(Stage.FETCH, 413),
    FailureCode.SOURCE_TRUNCATED: _source(),
    FailureCode.SOURCE_TIMEOUT: _source(504),
    FailureCode.SOURCE_EMPTY: _caller(Stage.FETCH),
    FailureCode.IMAGE_FORMAT_UNSUPPORTED: _caller(Stage.DECODE, 415),
    FailureCode.IMAGE_CORRUPT: _caller(Stage.DECODE),
    FailureCode.IMAGE_TRUNCATED: _caller(Stage.DECODE),
    FailureCode.IMAGE_TOO_LARGE: _caller(Stage.DECODE, 413),
    FailureCode.IMAGE_TOO_SMALL: _caller(Stage.DECODE),
    FailureCode.IMAGE_ASPECT_UNSUPPORTED: _caller(Stage.DECODE),
    FailureCode.IMAGE_METADATA_TOO_LARGE: _caller(Stage.DECODE),
    FailureCode.IMAGE_TOO_COMPLEX: _caller(Stage.DECODE),
    FailureCode.IMAGE_DECODE_TIMEOUT: _caller(Stage.DECODE),
    FailureCode.IMAGE_DECODER_CRASHED: _caller(Stage.DECODE),
    FailureCode.OUTPUT_TOO_LARGE: _caller(Stage.TILE, 413),
    FailureCode.DEVICE_OUT_OF_MEMORY: _system(Stage.INFER),
    FailureCode.DEVICE_FAILED: _system(Stage.INFER),
    FailureCode.STORE_UNAVAILABLE: _system(Stage.STORE, 503),
    FailureCode.BROKER_UNAVAILABLE: _system(Stage.PUBLISH, 503),
    FailureCode.INTERNAL: _system(None),
}
