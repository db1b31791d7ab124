"""Live progress of several pictures on a terminal, or a line for each change where there is none."""

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from pipeline.tools.session import Told
from schemas.events import (
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleStarted,
    WebhookRejected,
)
from schemas.remarks import REMARKS, Remark


class Display:
    """One bar for each picture on a terminal; one line for each start and end elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: dict[str, str] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.fields[name]}", justify="left", markup=False),
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def asked(self, job_id: str, name: str) -> None:
        """A picture is asked for: say which job is its own."""
        self._names[job_id] = name
        self._bars[job_id] = self._progress.add_task("waiting for a worker", name=name, total=None, start=False)
        self._say(f"{name}: job {job_id}")

    def show(self, event: Told) -> None:
        """Bring the picture's bar, or the log, up to `event`."""
        name, text = self._names[event.job_id], describe(event)
        if isinstance(event, WebhookRejected):
            self._say(f"{name}: {text}")
            return
        if not self._console.is_terminal and not isinstance(event, UpscaleProgress):
            self._say(f"{name}: {text}")
        self._move(self._bars[event.job_id], event, text)
        for warning in event.warnings if isinstance(event, UpscaleCompleted) else ():
            self._say(f"{name}: {remark(warning)}")

    def saved(self, job_id: str, path: Path) -> None:
        """The picture's result is at `path`."""
        self._say(f"{self._names[job_id]} -> {path}")

    def missed(self, job_id: str, url: str, error: Exception) -> None:
        """The picture's result is not here; where it is, and the job it is of."""
        self._say(f"{self._names[job_id]}: {error}; its result is {url}, of the job {job_id}")

    def _move(self, bar: TaskID, event: Told, text: str) -> None:
        if isinstance(event, UpscaleStarted):
            self._progress.start_task(bar)
        if isinstance(event, UpscaleProgress):
            self._progress.update(bar, completed=event.tiles_done, total=event.tiles_total)
        if event.terminal:
            self._progress.update(bar, completed=1, total=1)
            self._progress.stop_task(bar)
        self._progress.update(bar, description=text)

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def remark(warning: str) -> str:
    """What a word in `warnings` means; the word itself where a later release has said it."""
    return REMARKS[Remark(warning)] if warning in set(Remark) else warning


def describe(event: Told) -> str:
    """One event in a few words."""
    match event:
        case UpscaleProgress():
            return f"{event.tiles_done} of {event.tiles_total} tiles"
        case UpscaleCompleted():
            done = event.result
            return (
                f"{event.source_width} x {event.source_height} -> {done.width} x {done.height}"
                f" in {event.processing_seconds:.1f} s"
            )
        case UpscaleFailed():
            return f"failed: {event.failure.code}: {event.failure.message}"
        case UpscaleExpired():
            return "expired: its deadline passed"
        case UpscaleCanceled():
            return "canceled"
        case WebhookRejected():
            return f"webhook not called: {event.message}"
        case _:
            return "started"
