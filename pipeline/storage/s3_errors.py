"""What an error of the S3 client means to us; the one place that reads its codes."""

from enum import Enum, auto

from aiohttp import ClientError as TransportError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as StoreConnectionError,
)


class Meaning(Enum):
    """What follows from an error, whatever its code."""

    EXISTS = auto()  # a conditional write found the key taken
    MISSING = auto()  # no such key, or no such multipart upload
    NO_BUCKET = auto()
    FORBIDDEN = auto()  # we are known and may not
    CREDENTIALS = auto()  # we are not known: the operator's mistake, never a caller's
    CLOCK = auto()  # its clock and ours differ by more than it accepts
    PASSING = auto()  # may succeed when tried again
    REFUSED = auto()  # any other answer: trying again gives the same


_CODES: dict[str, Meaning] = {
    "PreconditionFailed": Meaning.EXISTS,
    "412": Meaning.EXISTS,
    "NoSuchKey": Meaning.MISSING,
    "NoSuchUpload": Meaning.MISSING,
    "NotFound": Meaning.MISSING,
    "404": Meaning.MISSING,
    "NoSuchBucket": Meaning.NO_BUCKET,
    "AccessDenied": Meaning.FORBIDDEN,
    "AllAccessDisabled": Meaning.FORBIDDEN,
    "403": Meaning.FORBIDDEN,
    "InvalidAccessKeyId": Meaning.CREDENTIALS,
    "SignatureDoesNotMatch": Meaning.CREDENTIALS,
    "ExpiredToken": Meaning.CREDENTIALS,
    "InvalidToken": Meaning.CREDENTIALS,
    "RequestTimeTooSkewed": Meaning.CLOCK,
    # Damaged on the way: what we hold is whole, so sending it again is the cure.
    "BadDigest": Meaning.PASSING,
    "XAmzContentChecksumMismatch": Meaning.PASSING,
    "IncompleteBody": Meaning.PASSING,
    "RequestTimeout": Meaning.PASSING,
    # Another conditional write of the same key is under way.
    "ConditionalRequestConflict": Meaning.PASSING,
    "OperationAborted": Meaning.PASSING,
}
_PASSING_STATUSES = (408, 409, 425, 429)


class Damaged(Exception):
    """The store says that it holds something else than what it was given."""


_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_TRANSPORT = (StoreConnectionError, HTTPClientError, IncompleteReadError, TransportError, TimeoutError, Damaged)


STORE_ERRORS = (BotoCoreError, ClientError, TransportError, TimeoutError, Damaged)
"""All that a call of the client, or reading a body it returned, may raise; and damage that we found ourselves."""


def meaning(error: Exception) -> Meaning:
    """Classify one of `STORE_ERRORS`."""
    if isinstance(error, ClientError):
        return _CODES.get(error.response.get("Error", {}).get("Code", ""), _by_status(status(error)))
    if isinstance(error, _NO_CREDENTIALS):
        return Meaning.CREDENTIALS
    return Meaning.PASSING if isinstance(error, _TRANSPORT) else Meaning.REFUSED


def status(error: Exception) -> int:
    """The HTTP status of the answer; 0 when there was none."""
    answer = error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}
    return int(answer.get("HTTPStatusCode", 0))


def _by_status(code: int) -> Meaning:
    return Meaning.PASSING if code >= 500 or code in _PASSING_STATUSES else Meaning.REFUSED
