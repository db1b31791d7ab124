"""Claims with a point right after a job is ended for good."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pipeline.storage.jobs import Begun, Busy, JobKey, Suspect, WornOut
from pipeline.worker.claims import Held
from pipeline.worker.settle import ClaimsPort
from schemas.events import Event, JobEvent


@dataclass(frozen=True, slots=True)
class CrashingClaims:
    """As `claims`; `ended` is called whenever a job's end is written down."""

    claims: ClaimsPort
    ended: Callable[[], None]

    async def begin(self, key: JobKey, *, alone: bool = False) -> Begun | Busy | Suspect | WornOut | Event:
        return await self.claims.begin(key, alone=alone)

    def hold(self, begun: Begun) -> AbstractAsyncContextManager[Held]:
        return self.claims.hold(begun)

    async def end(self, key: JobKey, event: JobEvent, held: Held | None = None) -> Event:
        standing = await self.claims.end(key, event, held)
        self.ended()
        return standing
