"""Which dead letters an operator means: arguments -> `Wanted`."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from pipeline.errors import PipelineError
from pipeline.kafka.parked import Place, Wanted
from pipeline.kafka.retry import moment

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_DAYS = 3650


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The filters that list, replay and drop share. They restrict together."""
    parser.add_argument("letters", nargs="*", metavar="OFFSET", help="these letters only, as `dlq list` names them")
    parser.add_argument("--reason", help="parked for this reason, such as crash_loop")
    parser.add_argument("--since", metavar="AGE|TIME", help="parked at most so long ago (90s, 30m, 2h, 7d) or since")
    parser.add_argument("--origin", metavar="TOPIC", help="came from this topic")
    parser.add_argument("--tenant", help="on this tenant's behalf")
    parser.add_argument("--job", metavar="JOB_ID", help="of this job")
    parser.add_argument("--limit", metavar="N", help="the N oldest only")


def wanted(arguments: argparse.Namespace, now: datetime) -> Wanted:
    """Raises `PipelineError` naming the argument, what it must be and what it is."""
    return Wanted(
        reason=arguments.reason,
        since=since(arguments.since, now) if arguments.since is not None else None,
        origin=arguments.origin,
        tenant=arguments.tenant,
        job_id=arguments.job,
        places=frozenset(map(place, arguments.letters)) or None,
    )


def limit(arguments: argparse.Namespace) -> int | None:
    """How many at most. Raises as `wanted`."""
    text = arguments.limit
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise PipelineError(f"--limit: must be a whole number of at least 1, got {text!r}")
    return int(text)


def place(text: str) -> Place:
    """Raises as `wanted`."""
    try:
        return Place.parse(text)
    except ValueError as error:
        raise PipelineError(f"OFFSET: {error}") from None


def since(text: str, now: datetime) -> datetime:
    """An age counted back from `now`, or a point in time; one without a zone is UTC. Raises as `wanted`."""
    if found := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])", text):
        age = timedelta(seconds=float(found[1]) * UNITS[found[2]])
        if age > timedelta(days=LONGEST_DAYS):
            raise PipelineError(f"--since: limit {LONGEST_DAYS}d, got {text!r}")
        return now - age
    point = moment(text.encode()) or moment(f"{text}+00:00".encode()) or _day(text)
    if point is None:
        raise PipelineError(f"--since: must be an age such as 30m, 2h or 7d, or an RFC 3339 time, got {text!r}")
    return point


def rate(text: str | None) -> float | None:
    """`N` or `N/s`, in letters a second; None does not hold back. Raises as `wanted`."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(?:/s)?", text)
    if found is None or float(found[1]) == 0:
        raise PipelineError(f"--rate: must be a number above 0 and below 1,000,000, as 50 or 50/s, got {text!r}")
    return float(found[1])


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
