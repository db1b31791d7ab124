"""DecoderPool: pictures are decoded in processes of their own, which a hostile file may hang or kill.

A decoder process has no environment, little memory and no files; bytes and samples travel in shared memory, so that
the event loop moves none of them.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipeline.errors import JobFailed
from pipeline.imaging.decode import Decoded
from pipeline.imaging.header import Limits, inspect
from pipeline.worker.decoder_child import Confinement
from pipeline.worker.decoder_process import DecoderDied, DecoderProcess, DecoderUnavailable, PictureFile
from schemas.failures import FailureCode

ENTRY = "pipeline.worker.decoder_child"
ATTEMPTS = 2
"""A decoder may have died of something else than this picture, once."""


@dataclass(slots=True)
class _Slot:
    """Room for one process, which is started when it is needed."""

    process: DecoderProcess | None = None


class DecoderPool:
    """`processes` decoders; a picture waits for a free one. Use as `async with`."""

    def __init__(
        self, processes: int, limits: Limits, timeout_seconds: float, memory_bytes: int, *, entry: str = ENTRY
    ) -> None:
        self._limits = limits
        self._timeout_seconds = timeout_seconds
        self._confinement = Confinement(limits, memory_bytes, math.ceil(timeout_seconds))
        self._entry = entry
        self._slots = [_Slot() for _ in range(processes)]
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()
        self._dying: list[DecoderProcess] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start all processes. Raises `DecoderUnavailable`."""
        try:
            for slot in self._slots:
                await self._running(slot)
        except BaseException:
            await self._stop()
            raise
        for slot in self._slots:
            self._free.put_nowait(slot)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def decode(self, data: bytes, *, keep_exif: bool) -> Decoded:
        """As `pipeline.imaging.decode.decode`, and besides `JobFailed` with image_decode_timeout or
        image_decoder_crashed. What the header alone rules out is refused at once. May be cancelled."""
        file = PictureFile(data, inspect(data, self._limits), keep_exif)
        async with self._slot() as slot:
            for _ in range(ATTEMPTS):
                try:
                    return await self._attempt(slot, file)
                except DecoderDied:
                    continue
        raise JobFailed(
            FailureCode.IMAGE_DECODER_CRASHED,
            f"source: the {file.header.format} file ended its decoder {ATTEMPTS} times",
            {"attempts": ATTEMPTS},
        )

    async def _attempt(self, slot: _Slot, file: PictureFile) -> Decoded:
        process = await self._running(slot)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await process.ask(file)
        except JobFailed:
            raise
        except TimeoutError:
            self._discard(slot)
            raise JobFailed(
                FailureCode.IMAGE_DECODE_TIMEOUT,
                f"source: decoding is limited to {self._timeout_seconds:g} seconds, and the file takes longer",
                {"field": "decode_seconds", "limit": self._timeout_seconds},
            ) from None
        except BaseException:
            self._discard(slot)
            raise

    async def _running(self, slot: _Slot) -> DecoderProcess:
        if self._closed:
            raise DecoderUnavailable("the decoders have been stopped")
        if slot.process is None:
            slot.process = await DecoderProcess.start(self._entry, self._confinement)
        return slot.process

    def _discard(self, slot: _Slot) -> None:
        """Kill without waiting: a large process takes a while to go, and the loop must not."""
        self._dying = [process for process in self._dying if not process.is_gone()]
        if slot.process is not None:
            slot.process.kill()
            self._dying.append(slot.process)
            slot.process = None

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[_Slot]:
        slot = await self._free.get()
        try:
            yield slot
        finally:
            self._free.put_nowait(slot)

    async def _stop(self) -> None:
        self._closed = True
        for slot in self._slots:
            self._discard(slot)
        dying, self._dying = self._dying, []
        for process in dying:
            await asyncio.to_thread(process.end)
