"""An errand: pictures are asked for, followed to their end, and their results fetched."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import orjson
from rich.console import Console

from pipeline.storage.transfer import TransferFailed
from pipeline.tools.display import Display
from pipeline.tools.session import Session, Told
from schemas.callbacks import Webhook
from schemas.events import CancelRequested, JobEvent, UpscaleCompleted, UpscaleRequested
from schemas.options import UpscaleOptions
from schemas.topics import Lane, Topics

NAME_BYTES = 255
"""Of a file, on every file system that is in use."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One thing to upscale."""

    name: str
    """As it was named on the command line."""
    stem: str
    """What its result is called after, without extension."""
    path: Path | None
    """Local file, to be uploaded first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the pictures of one call are to be upscaled."""

    options: UpscaleOptions
    tenant: str
    lane: Lane
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How one picture ended."""

    picture: Picture
    event: JobEvent
    result: Path | None
    """The downloaded file; None when there is none."""


class Errand:
    """Pictures of one call, whose results go into `folder`, which exists."""

    def __init__(self, asked: Asked, folder: Path, *, as_json: bool = False) -> None:
        self.owed: dict[str, Picture] = {}
        """By job: what was asked for and has not ended, or its result is not here. Some are left when `run` raises."""
        self._asked = asked
        self._folder = folder
        self._as_json = as_json

    async def run(self, session: Session, pictures: Sequence[Picture]) -> list[Ended]:
        """Upload, ask, show progress and download; returns when every picture has ended."""
        with Display(Console(quiet=self._as_json)) as display:
            for picture in pictures:
                job_id = await self._ask(session, picture)
                display.asked(job_id, picture.name)
            return await self._follow(session, dict(self.owed), display)

    async def _ask(self, session: Session, picture: Picture) -> str:
        asked = self._asked
        source = await session.upload(picture.path, asked.tenant) if picture.path else picture.name
        request = UpscaleRequested(
            job_id=str(uuid4()), tenant=asked.tenant, source=source, options=asked.options, webhook=asked.webhook
        )
        # Before it is sent: who is interrupted here cannot know whether the broker has it.
        self.owed[request.job_id] = picture
        await session.ask(request, asked.lane)
        return request.job_id

    async def _follow(self, session: Session, jobs: Mapping[str, Picture], display: Display) -> list[Ended]:
        ended: list[Ended] = []
        async for event in session.events(set(jobs)):
            picture = jobs[event.job_id]
            display.show(event)
            saved = await self._fetched(session, picture, event, display)
            if self._as_json:
                print(json_line(event, picture.name, saved), flush=True)
            if isinstance(event, JobEvent) and event.terminal:
                ended.append(Ended(picture, event, saved))
                del self.owed[event.job_id]
        return ended

    async def _fetched(self, session: Session, picture: Picture, event: Told, display: Display) -> Path | None:
        """A result that cannot be had keeps nobody from the others."""
        if not isinstance(event, UpscaleCompleted):
            return None
        try:
            saved = await session.download(event, target(self._folder, picture, event))
        except TransferFailed as error:
            display.missed(event.job_id, event.result.url, error)
            return None
        display.saved(event.job_id, saved)
        return saved


def json_line(event: Told, picture: str, saved: Path | None) -> str:
    """An event with its type, since nothing around it says what it is, and with what only we know: which picture it
    is about, and where its result was saved."""
    document = {"type": event.type, "picture": _text(picture), **event.model_dump(mode="json", exclude_none=True)}
    return orjson.dumps(document if saved is None else document | {"path": _text(saved)}).decode()


def _text(name: str | Path) -> str:
    """The name of a file, which is bytes and may be no text."""
    return os.fsencode(name).decode(errors="replace")


def target(folder: Path, picture: Picture, event: UpscaleCompleted) -> Path:
    """Where a result goes: `NAME_x4.png`, with the job's id added rather than overwriting a file."""
    scale, extension = f"_x{event.result.width / event.source_width:.3g}", f".{event.result.format.extension}"
    path = folder / f"{_cut(picture.stem, len(scale + extension))}{scale}{extension}"
    if not path.exists():
        return path
    scale = f"{scale}_{event.job_id}"
    return folder / f"{_cut(picture.stem, len(scale + extension))}{scale}{extension}"


def _cut(stem: str, beside: int) -> str:
    """As much of it as a file's name has room for, beside so many ASCII characters."""
    room, name = NAME_BYTES - beside, os.fsencode(stem)
    return stem if len(name) <= room else name[:room].decode(errors="ignore")


def still_open(owed: Mapping[str, Picture], tenant: str, topics: Topics) -> list[str]:
    """What a person is told of the jobs that we leave: which they are, how they are found again and called off."""
    return [
        "these jobs go on without us:",
        *(f"  {job_id}  {picture.name}" for job_id, picture in owed.items()),
        f"their ends are events on {topics.events.name}: a completed one names the object of its result;",
        f"an event {CancelRequested.type} with job_id and the tenant {tenant} on {topics.control.name} calls one off",
    ]
