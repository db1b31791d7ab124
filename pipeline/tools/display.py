"""Live progress of several pictures on a terminal, or a line for each change where there is none."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.events import (
    JobEvent,
    UpscaleCanceled,
    UpscaleCompleted,
    UpscaleExpired,
    UpscaleFailed,
    UpscaleProgress,
    UpscaleStarted,
)


class Display:
    """One bar for each picture on a terminal; one line for each start and end elsewhere."""

    def __init__(self, console: Console, names: dict[str, str]) -> None:
        self._console = console
        self._names = names
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
        for job_id, name in self._names.items():
            self._bars[job_id] = self._progress.add_task("waiting for a worker", name=name, total=None, start=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: JobEvent) -> None:
        """Bring the picture's bar, or the log, up to `event`."""
        bar, text = self._bars[event.job_id], describe(event)
        if isinstance(event, UpscaleStarted):
            self._progress.start_task(bar)
        if isinstance(event, UpscaleProgress):
            self._progress.update(bar, completed=event.tiles_done, total=event.tiles_total)
        elif not self._console.is_terminal:
            self._console.print(Text(f"{self._names[event.job_id]}: {text}"), soft_wrap=True)
        if event.terminal:
            self._progress.update(bar, completed=1, total=1)
            self._progress.stop_task(bar)
        self._progress.update(bar, description=text)


def describe(event: JobEvent) -> str:
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
        case _:
            return "started"
