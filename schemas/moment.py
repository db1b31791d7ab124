"""A point in time as requests and events write it."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from schemas.problems import shown


def _written_out(value: object) -> object:
    """Numbers are refused: whether they count seconds or milliseconds would be a guess."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and value[4:5] == "-":
        # Calendars of programs have no leap seconds; the one before it is the nearest.
        return f"{value[:17]}59{value[19:]}" if value[16:19] == ":60" else value
    raise ValueError(f"must be an RFC 3339 time such as '2030-01-31T12:00:00Z', got {shown(value)}")


def _within_reach(value: datetime) -> datetime:
    """Converting a time at the rim of the calendar to UTC would leave it."""
    try:
        within = value.astimezone(UTC).year >= 1970
    except OverflowError:
        within = False
    if not within:
        raise ValueError(f"must lie between the years 1970 and 9999 in UTC, got {value.isoformat()!r}")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)]
"""With its zone, RFC 3339; a leap second counts as the one before it."""
