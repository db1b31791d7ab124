"""The decoder process: confines itself, then decodes one picture after another until its parent hangs up.

Started by pipeline/worker/decoder.py with a socket as standard input. Holds no secret, can open no file for writing,
and may be killed at any time.
"""

import mmap
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import orjson

from pipeline.errors import JobFailed
from pipeline.imaging.decode import Decoded, decode
from pipeline.imaging.header import Limits
from pipeline.worker.decoder_messages import (
    MAX_MESSAGE_BYTES,
    READY,
    Picture,
    Refusal,
    Request,
    dump,
    load_request,
)
from schemas.failures import FailureCode

SPARE_BYTES = 64 * 2**20
"""Memory beyond the interpreter's own that a decoder needs to be of any use."""
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
"""All pages at once where the system can: a fault for each takes longer than the copy."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one process may use."""

    limits: Limits
    memory_bytes: int
    """Address space."""
    cpu_seconds: int
    """Of one picture. Ends a decoder whose parent is no longer there to do it."""

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def load(cls, text: str) -> "Confinement":
        fields = orjson.loads(text)
        return cls(Limits(**fields["limits"]), fields["memory_bytes"], fields["cpu_seconds"])


def main(answer: Callable[[Request, int, int, Limits], Picture | Refusal] | None = None) -> None:
    """Answer requests, by `serve` unless told otherwise, until the socket closes."""
    confinement = Confinement.load(sys.argv[1])
    channel = socket.socket(fileno=os.dup(0))
    _confine(confinement.memory_bytes)
    channel.sendall(READY)
    while True:
        line, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE_BYTES, 2)
        if not line:
            return
        _allow_cpu(confinement.cpu_seconds)
        reply = (answer or serve)(load_request(line), descriptors[0], descriptors[1], confinement.limits)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(dump(reply))


def serve(request: Request, source: int, target: int, limits: Limits) -> Picture | Refusal:
    """Decode the file in descriptor `source` into descriptor `target`."""
    try:
        with mmap.mmap(source, request.file_bytes, prot=mmap.PROT_READ) as file:
            data = file[:]
        return _place(decode(data, limits, keep_exif=request.keep_exif), target)
    except JobFailed as failed:
        return Refusal(failed.code, failed.message, failed.details)
    except (MemoryError, OSError):  # mapping says OSError where allocating says MemoryError
        return Refusal(
            FailureCode.IMAGE_TOO_COMPLEX, "source: decoding the file takes more memory than a picture may", {}
        )


def _place(decoded: Decoded, target: int) -> Picture:
    raster = decoded.raster
    picture = Picture(
        height=raster.height,
        width=raster.width,
        channels=raster.pixels.shape[2],
        bits=raster.bit_depth,
        alpha=raster.alpha is not None,
        exif_bytes=len(raster.exif or b""),
        warnings=decoded.warnings,
    )
    with mmap.mmap(target, picture.total_bytes, flags=mmap.MAP_SHARED | _POPULATE) as memory:
        parts = [raster.pixels, *([] if raster.alpha is None else [raster.alpha])]
        position = 0
        for part in parts:
            np.frombuffer(memory, part.dtype, part.size, position).reshape(part.shape)[...] = part
            position += part.nbytes
        memory[position:] = raster.exif or b""
    return picture


def _confine(memory_bytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    # Fails here, at the start, when the limit leaves no room for pictures.
    mmap.mmap(-1, SPARE_BYTES).close()
    # Decoders write about broken files there; what a file makes them say is not for the operator's log.
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)


def _allow_cpu(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


if __name__ == "__main__":
    main()
