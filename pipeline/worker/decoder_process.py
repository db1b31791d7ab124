"""One decoder process, seen from the worker: start it, ask it, kill it."""

import asyncio
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import PipelineError
from pipeline.imaging.decode import Decoded
from pipeline.imaging.exif import MAX_BYTES as MAX_EXIF_BYTES
from pipeline.imaging.header import Header
from pipeline.imaging.raster import Raster
from pipeline.worker.decoder_child import Confinement
from pipeline.worker.decoder_memory import SharedMemory
from pipeline.worker.decoder_messages import MAX_MESSAGE_BYTES, Picture, Request, dump, load_reply

START_SECONDS = 30.0
INLINE_BYTES = 1 << 20
"""Files up to this size are copied on the event loop (well under a millisecond), larger ones in a thread."""
MAX_PIXEL_BYTES = 8
"""RGB and alpha of 16 bits."""
_ENVIRONMENT = {
    # Threads that a decoder does not need would reserve address space for each processor.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Keeps up to 128 MiB from one picture to the next: getting fresh pages took a third of the time of a small one.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""All that a decoder inherits."""
_ROOT = Path(__file__).resolve().parents[2]


class DecoderUnavailable(PipelineError):
    """A decoder process does not start: the installation or its memory limit is at fault, not a picture."""


class DecoderDied(Exception):
    """The process hung up, or said what no sound decoder would. It is of no further use."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """What a decoder is asked for."""

    data: bytes
    header: Header
    keep_exif: bool


class DecoderProcess:
    """A running process. Not for several requests at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        channel: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._channel = channel
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, entry: str, confinement: Confinement) -> "DecoderProcess":
        """Start a process and wait until it has confined itself. Raises `DecoderUnavailable`."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_MESSAGE_BYTES)
            # On the loop, because it takes a millisecond or two and a thread could outlive its waiter, and the process.
            process = subprocess.Popen(  # noqa: ASYNC220, S603  # the command is ours alone
                [sys.executable, "-m", entry, confinement.dump()],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd=_ROOT,
                start_new_session=True,
            )
        decoder = cls(process, ours, reader, writer)
        try:
            async with asyncio.timeout(START_SECONDS):
                await decoder._line()
        except (DecoderDied, TimeoutError):
            decoder.end()
            raise DecoderUnavailable(
                f"a decoder process does not start with {confinement.memory_bytes} bytes of memory"
            ) from None
        except BaseException:
            decoder.end()
            raise
        return decoder

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, file: PictureFile) -> Decoded:
        """Decode `file`. Raises the decoder's `JobFailed`, and `DecoderDied`.

        After any other exception, cancellation included, the process is busy with a question nobody awaits: kill it.
        """
        capacity = file.header.width * file.header.height * MAX_PIXEL_BYTES + MAX_EXIF_BYTES
        source, target = await _holding(file.data), SharedMemory.of_size(capacity)
        try:
            request = dump(Request(source.size, file.keep_exif))
            descriptors = [source.descriptor, target.descriptor]
            try:
                socket.send_fds(self._channel, [request], descriptors)
            except OSError:
                raise DecoderDied from None
            return _received(await self._line(), file.header, target)
        finally:
            source.close()
            target.close()

    def kill(self) -> None:
        """Tell it to go, and whoever awaits its answer that none will come; `end` has to follow."""
        self._process.kill()
        self._writer.close()

    def end(self) -> None:
        """Kill it and block until it is gone, which takes a while for one that holds much memory."""
        self.kill()
        self._process.wait()

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):  # ValueError: more than the longest message without an end
            raise DecoderDied from None
        if not line:
            raise DecoderDied
        return line


async def _holding(data: bytes) -> SharedMemory:
    if len(data) <= INLINE_BYTES:
        return SharedMemory.holding(data)
    return await asyncio.to_thread(SharedMemory.holding, data)


def _received(line: bytes, header: Header, memory: SharedMemory) -> Decoded:
    """The decoder's answer, believed only as far as it can be true."""
    try:
        reply = load_reply(line)
        if isinstance(reply, Picture):
            return _decoded(reply, header, memory)
    except (ValueError, KeyError, TypeError):
        raise DecoderDied from None
    raise reply


def _decoded(picture: Picture, header: Header, memory: SharedMemory) -> Decoded:
    same_size = sorted((picture.width, picture.height)) == sorted((header.width, header.height))
    if not same_size or picture.bits not in (8, 16) or not 0 <= picture.exif_bytes <= MAX_EXIF_BYTES:
        raise ValueError(f"picture: not what was asked for: {picture}")
    view = memory.private_view(picture.total_bytes)
    dtype = np.dtype(f"u{picture.bits // 8}")
    count = picture.height * picture.width
    pixels = np.frombuffer(view, dtype, count * picture.channels).reshape(picture.height, picture.width, -1)
    alpha = None
    if picture.alpha:
        alpha = np.frombuffer(view, dtype, count, picture.pixels_bytes).reshape(picture.height, picture.width)
    exif = view[picture.pixels_bytes + picture.alpha_bytes :] or None
    return Decoded(Raster(pixels, alpha, exif), picture.warnings)
