"""Dead letters in words, for a person and for a program. Pure.

Nothing of a letter is trusted: its sender may have put control characters into all of it.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipeline.kafka.parked import UNKNOWN, Letter, Outcome, Stock
from pipeline.kafka.replay import Dealt, Sent
from pipeline.kafka.scan import Record
from schemas import codec
from schemas.failures import FAILURES, FailureCode

SHOWN_BYTES = 16_384
"""Of a value that is shown to a person."""
NOT_SETTLED = "not_settled"
"""The reason of a job that went wrong outside of its own work, again and again."""
NO_JOB = "It could not be tied to a job, so nobody was told. "
REASONS = {
    "empty": "The record had no value.",
    "too_large": f"The record was larger than the {codec.MAX_EVENT_BYTES} bytes that an event may have.",
    "malformed_json": "The value is no JSON object.",
    "unsupported_format": "The content type is none that we read.",
    "missing_attribute": "An attribute that CloudEvents requires is absent.",
    "invalid_attributes": "An attribute of CloudEvents breaks its rule.",
    "invalid_payload": "The request does not name its job as a job must be named.",
    "unsupported_version": "The event, or its type, is of a version that this release does not read.",
    "unknown_type": "The event has a type that this release does not know.",
    "unexpected_type": "An event of this type does not belong on a request topic.",
    "not_understood": "An error of our own kept it from being understood; the worker's log has it.",
    UNKNOWN: "Somebody else put it there: it has no headers of ours.",
}
"""What it means when a record was parked that no job could be tied to."""


def meaning(reason: str) -> str:
    """One or two sentences on why a record is parked, and what playing it again would do."""
    if reason in REASONS:
        return f"{REASONS[reason]} {NO_JOB}Playing it again helps only once a release reads it."
    if reason == NOT_SETTLED:
        return (
            "The job could be neither done nor ended, after all attempts; the detail begins with the failure code. "
            "The caller was told nothing. Playing it again does the job, under its own id."
        )
    if reason in set(FailureCode):
        told = FAILURES[FailureCode(reason)].meaning
        return f"{told} The caller was told that the job failed. Playing it again does the job anew, under its own id."
    return "This release does not know the reason."


def document(letter: Letter, outcome: Outcome | None) -> dict[str, Any]:
    """One letter for a program."""
    return {
        "letter": str(letter.place),
        "parked": letter.parked.isoformat(),
        "reason": letter.reason,
        "detail": letter.detail,
        "tenant": letter.tenant,
        "job_id": letter.job_id,
        "origin": None if letter.origin is None else str(letter.origin),
        "attempts": letter.attempts,
        "replays": letter.replays,
        "version": letter.version,
        "size": letter.size,
        "omitted": letter.omitted,
        "outcome": outcome,
    }


def listing(letters: Sequence[Letter], stock: Stock) -> list[str]:
    """A line for each letter, in columns, under a line of headings."""
    rows = [("letter", "parked", "reason", "tenant/job", "from", "size", ""), *(_row(each, stock) for each in letters)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def totals(letters: Sequence[Letter], stock: Stock) -> str:
    """What is listed of what there is."""
    reasons = Counter(printable(letter.reason) for letter in letters)
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    handled = Counter(stock.marks[each.place] for each in stock.letters if each.place in stock.marks)
    return (
        f"{len(letters)} listed{f' ({told})' if told else ''}; on the topic: {len(stock.open)} open, "
        f"{handled[Outcome.REPLAYED]} replayed, {handled[Outcome.DROPPED]} dropped"
    )


def description(letter: Letter, record: Record, outcome: Outcome | None) -> list[str]:
    """All there is to say of one letter, its headers and its value."""
    facts = document(letter, outcome) | {"means": meaning(letter.reason)}
    lines = [f"{name:<9} {printable(str(value))}" for name, value in facts.items() if value not in (None, "")]
    lines += ["", "headers", *(f"  {printable(name)}: {_text(value)}" for name, value in record.headers)]
    lines += ["", f"key    {_text(record.key)}", f"value  {_value(letter, record)}"]
    return lines


def contents(record: Record) -> dict[str, Any]:
    """Headers, key and value for a program, each byte that is no UTF-8 as U+FFFD."""
    return {
        "headers": [[name, value.decode(errors="replace")] for name, value in record.headers],
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "value": None if record.value is None else record.value.decode(errors="replace"),
    }


def dealt_line(dealt: Dealt) -> str:
    """What became of one letter."""
    end = f"-> {dealt.end.topic}" if isinstance(dealt.end, Sent) else f"stays: {printable(dealt.end.why)}"
    return f"{dealt.letter.place!s:<8} {_job(dealt.letter)}  {end}"


def dealt_document(dealt: Dealt) -> dict[str, Any]:
    """The same for a program."""
    end = {"to": dealt.end.topic} if isinstance(dealt.end, Sent) else {"stays": dealt.end.why}
    return {
        "letter": str(dealt.letter.place),
        "tenant": dealt.letter.tenant,
        "job_id": dealt.letter.job_id,
        "reason": dealt.letter.reason,
        **end,
    }


def printable(text: str) -> str:
    """`text` in ASCII without anything that a terminal obeys."""
    return json.dumps(text)[1:-1].replace('\\"', '"').replace("\\\\", "\\")


def _row(letter: Letter, stock: Stock) -> tuple[str, ...]:
    origin = "-" if letter.origin is None else printable(str(letter.origin))
    outcome = stock.marks.get(letter.place)
    return (
        str(letter.place),
        _time(letter.parked),
        printable(letter.reason),
        _job(letter),
        origin,
        f"{letter.size} B{' omitted' if letter.omitted else ''}",
        outcome or "",
    )


def _job(letter: Letter) -> str:
    return f"{letter.tenant}/{letter.job_id}" if letter.job_id else "-"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _value(letter: Letter, record: Record) -> str:
    if letter.omitted:
        return f"{letter.size} bytes, too large to be parked; they lay at {letter.origin}"
    more = max(0, len(record.value or b"") - SHOWN_BYTES)
    rest = f" ... and {more} bytes more; --json shows all" if more else ""
    return _text((record.value or b"")[:SHOWN_BYTES] if record.value is not None else None) + rest


def _text(raw: bytes | None) -> str:
    return "none" if raw is None else printable(raw.decode(errors="backslashreplace"))
