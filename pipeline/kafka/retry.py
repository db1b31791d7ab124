"""Where the record of a job that has not ended goes next, and the headers it takes along. Pure.

A record that is handed on keeps key and value; what was tried so far travels in headers of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas import topics
from schemas.topics import TIERS, Tier

Headers = tuple[tuple[str, bytes], ...]

OURS = frozenset({topics.ATTEMPT, topics.FIRST_SEEN, topics.NOT_BEFORE, topics.RETRY_REASON})


@dataclass(frozen=True, slots=True)
class History:
    """What a record says of the attempts before it."""

    attempt: int = 1
    """The attempt it stands for."""
    first_seen: datetime | None = None
    """When it was first handed on; None when it never was."""
    replay: int = 0
    """How often an operator has played it again."""


def history(headers: Iterable[tuple[str, bytes]]) -> History:
    """Read our headers. What is not as we write it counts as absent: callers may send headers of these names."""
    found = dict(headers)
    return History(
        attempt=max(1, _number(found.get(topics.ATTEMPT), 1)),
        first_seen=moment(found.get(topics.FIRST_SEEN)),
        replay=max(0, _number(found.get(topics.REPLAY), 0)),
    )


def due(headers: Iterable[tuple[str, bytes]]) -> datetime | None:
    """When a record on a retry topic is to be worked on; None means at once."""
    return moment(dict(headers).get(topics.NOT_BEFORE))


def tier_after(attempt: int, *, wait_seconds: float = 0.0) -> Tier:
    """Where to wait after attempt number `attempt` failed: each tier once, or a longer one when that was asked for."""
    position = min(attempt, len(TIERS)) - 1
    long_enough = (tier for tier in TIERS[position:] if tier.delay_seconds >= wait_seconds)
    return next(long_enough, TIERS[-1])


def handed_on(headers: Headers, *, attempt: int, tier: Tier, reason: str, now: datetime) -> Headers:
    """The headers of a record on its way to `tier`; `attempt` is the one it will stand for there."""
    first_seen = history(headers).first_seen or now
    ours = {
        topics.ATTEMPT: str(attempt),
        topics.FIRST_SEEN: _text(first_seen),
        topics.NOT_BEFORE: _text(now + timedelta(seconds=tier.delay_seconds)),
        topics.RETRY_REASON: reason,
    }
    return (*(header for header in headers if header[0] not in OURS), *((name, ours[name].encode()) for name in ours))


def played_again(headers: Headers) -> Headers:
    """The headers of a parked record on its way back: a new generation, with all attempts before it."""
    replay = (topics.REPLAY, str(history(headers).replay + 1).encode())
    kept = (header for header in headers if header[0] not in OURS | topics.DEAD_LETTER_HEADERS | {topics.REPLAY})
    return (*kept, replay)


def moment(raw: bytes | None) -> datetime | None:
    """A time with its zone, RFC 3339, in UTC; None for anything else, at the rim of the calendar too."""
    try:
        found = datetime.fromisoformat((raw or b"").decode())
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _number(raw: bytes | None, otherwise: int) -> int:
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < 10 else otherwise


def _text(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()
