"""Decoder processes that misbehave, by what `python -m` runs as `tests.support.decoder_entries`.

Each picture's own bytes choose: the file is a PNG header whose width says what to do.
"""

import os
import socket
import sys

from pipeline.imaging.header import Limits
from pipeline.worker import decoder_child
from pipeline.worker.decoder_messages import Picture, Refusal, Request

CRASH, LIE, BABBLE = 11, 12, 13


def misbehave(request: Request, source: int, target: int, limits: Limits) -> Picture | Refusal:
    """As `decoder_child.serve`, but for files of the widths above."""
    width = int.from_bytes(os.pread(source, 4, 16), "big")
    if width == CRASH:
        os.abort()
    if width == LIE:
        return Picture(1, 10**9, 3, 8, alpha=False, exif_bytes=0, warnings=())
    if width == BABBLE:
        socket.socket(fileno=os.dup(0)).sendall(b"what?\n")
        sys.exit()
    return decoder_child.serve(request, source, target, limits)


if __name__ == "__main__":
    decoder_child.main(misbehave)
