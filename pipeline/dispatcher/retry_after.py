"""How long an answer asks us to stay away: its `Retry-After`, in either of the forms of RFC 9110, 10.2.3. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MOST_DIGITS = 9


def retry_after_seconds(value: str | None, date: str | None, now: float) -> float | None:
    """Seconds from now on, at least 0, or None when the answer does not say.

    `date` is the answer's own `Date`: what it names as a time is a time of the clock that it stamped that with. Where
    there is none our clock stands in, `now`, in Unix seconds. What is neither a number nor a date counts as not said.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:_MOST_DIGITS])
    until = _unix_seconds(value)
    if until is None:
        return None
    stamped = _unix_seconds(date)
    return max(0.0, until - (now if stamped is None else stamped))


def _unix_seconds(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
        return _in_utc(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    """HTTP dates are in GMT; one of the old forms does not say so."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
