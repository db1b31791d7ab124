"""`upscale topics lag`: what lies before the workers, in messages, and in megapixels and seconds of work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.kafka.backlog import Backlog, behind, newest, open_letters, together
from pipeline.kafka.replay import take_stock
from pipeline.kafka.retry import group_of_retries
from pipeline.settings import KafkaSettings
from pipeline.tools.work import Experience, completed, experience
from schemas.topics import Lane, Topics

RETRIES = "retries"
DEAD_LETTERS = "dead letters"
RECENT_EVENTS = 1000
"""Of the newest events; each job has a few, and one that completes it."""
STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


@dataclass(frozen=True, slots=True)
class Report:
    """What there is, and what is thought of it."""

    backlogs: Mapping[str, Backlog]
    """By lane, then retries and dead letters."""
    experience: Experience | None
    now: datetime


async def measure(settings: KafkaSettings, topics: Topics, now: datetime) -> Report:
    """Raises `TopicsMissing` and `ServiceUnreachable`."""
    requests = await behind(settings, settings.group, topics.request_lanes)
    retries = await behind(settings, group_of_retries(settings.group), topics.retry_lanes)
    letters = open_letters(await take_stock(settings, topics.dead_letters.name))
    backlogs = {str(lane): requests[topics.requests[lane].name] for lane in Lane}
    backlogs |= {RETRIES: together(retries.values()), DEAD_LETTERS: letters}
    events = await newest(settings, topics.events.name, RECENT_EVENTS)
    return Report(backlogs, experience(completed(events)), now)


def lines(report: Report) -> list[str]:
    """A table, and below it what the estimates rest on."""
    rows: list[tuple[str, ...]] = [("", "messages", "oldest", "megapixels*", "work*")]
    rows += [_row(name, backlog, report) for name, backlog in report.backlogs.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return [*table, "", basis(report.experience)]


def basis(known: Experience | None) -> str:
    """What the estimates rest on."""
    if known is None:
        return "* not known: no job among the newest events was completed."
    return (
        f"* estimated from the last {known.jobs} completed jobs of both lanes: {known.megapixels_each:.3g} source "
        f"megapixels each, {known.megapixels_per_second:.3g} a second by all workers together while any was at work."
    )


def document(report: Report) -> dict[str, Any]:
    """The same for a program; what is not known is null."""
    known = report.experience
    return {
        "backlogs": {name: _figures(name, backlog, report) for name, backlog in report.backlogs.items()},
        "estimated_from": None
        if known is None
        else {
            "completed_jobs": known.jobs,
            "source_megapixels_each": known.megapixels_each,
            "source_megapixels_per_second": known.megapixels_per_second,
        },
    }


def duration(seconds: float) -> str:
    """In the two units that say most."""
    whole = round(seconds)
    for large, large_name, small, small_name in STEPS:
        if whole >= large:
            return f"{whole // large} {large_name} {whole % large // small} {small_name}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def _figures(name: str, backlog: Backlog, report: Report) -> dict[str, float | None]:
    """Dead letters are no work: nobody does them unless they are played again."""
    known = None if name == DEAD_LETTERS else report.experience
    return {
        "messages": backlog.messages,
        "oldest_seconds": None if backlog.oldest is None else max(0.0, (report.now - backlog.oldest).total_seconds()),
        "megapixels": None if known is None else known.megapixels(backlog.messages),
        "work_seconds": None if known is None else known.seconds(backlog.messages),
    }


def _row(name: str, backlog: Backlog, report: Report) -> tuple[str, ...]:
    figures = _figures(name, backlog, report)
    return (
        name,
        f"{backlog.messages:,}",
        _told(figures["oldest_seconds"], duration),
        _told(figures["megapixels"], lambda value: f"{value:,.1f}"),
        _told(figures["work_seconds"], duration),
    )


def _told(figure: float | None, tell: Callable[[float], str]) -> str:
    return "-" if figure is None else tell(figure)
