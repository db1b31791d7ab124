"""What the worker and a decoder process say to each other: a line of JSON each; bytes and samples in shared memory."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import orjson

from pipeline.errors import Detail, JobFailed
from schemas.failures import FailureCode

READY = b"ready\n"
"""Said once by the process, after it has confined itself."""
MAX_MESSAGE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """Decode the file in the first descriptor into the second."""

    file_bytes: int
    keep_exif: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """What lies in the second descriptor: pixels, then alpha, then EXIF, without gaps."""

    height: int
    width: int
    channels: int
    bits: int
    alpha: bool
    exif_bytes: int
    warnings: tuple[str, ...]

    @property
    def pixels_bytes(self) -> int:
        return self.height * self.width * self.channels * self.bits // 8

    @property
    def alpha_bytes(self) -> int:
        return self.height * self.width * self.bits // 8 if self.alpha else 0

    @property
    def total_bytes(self) -> int:
        return self.pixels_bytes + self.alpha_bytes + self.exif_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no picture."""

    code: str
    message: str
    details: Mapping[str, Detail]


def dump(message: Request | Picture | Refusal) -> bytes:
    """One line."""
    return orjson.dumps({"kind": type(message).__name__, **asdict(message)}) + b"\n"


def load_request(line: bytes) -> Request:
    """Read a line of the worker's, who is trusted."""
    fields = orjson.loads(line)
    return Request(fields["file_bytes"], fields["keep_exif"])


def load_reply(line: bytes) -> Picture | JobFailed:
    """Read a line of the decoder's, which a hostile file may have taken over.

    Raises `ValueError`, `KeyError` or `TypeError` when it is none.
    """
    fields = orjson.loads(line)
    if fields["kind"] == Refusal.__name__:
        return JobFailed(FailureCode(fields["code"]), str(fields["message"])[:500], dict(fields["details"]))
    return Picture(
        height=int(fields["height"]),
        width=int(fields["width"]),
        channels=int(fields["channels"]),
        bits=int(fields["bits"]),
        alpha=bool(fields["alpha"]),
        exif_bytes=int(fields["exif_bytes"]),
        warnings=tuple(str(warning)[:100] for warning in fields["warnings"]),
    )
