"""What goes in and out of storage: types only."""

from dataclasses import dataclass
from typing import Literal

from schemas.options import OutputFormat

Scheme = Literal["http", "https", "s3", "upload"]


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A parsed reference to a picture; nothing has been contacted yet."""

    scheme: Scheme
    url: str
    """The reference as the caller wrote it. May hold secrets in its query: never logged."""
    bucket: str | None = None
    """For `s3` and `upload`."""
    key: str | None = None
    """For `s3` and `upload`."""


@dataclass(frozen=True, slots=True)
class SourceBytes:
    """A fetched picture file, not yet looked into."""

    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a result's event tells of the picture it was made from."""

    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    warnings: tuple[str, ...] = ()
    """Stable words for what did not prevent the result."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A result that lies in the store."""

    bucket: str
    key: str
    sha256: str
    size: int
    format: OutputFormat
    width: int
    height: int
    source: SourceFacts

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
