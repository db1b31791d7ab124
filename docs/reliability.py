"""Write the tables of reliability.md from what `make test-faults` measured last: `python -m docs.reliability`."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent
REPORT = FOLDER.parent / "build" / "faults.json"
PAGE = FOLDER / "reliability.md"


def rows_table(told: dict[str, Any]) -> str:
    """A line for each row of the matrix, in its order."""
    rows = sorted(((number, row) for number, row in told.items() if number != "mutations"), key=_order)
    head = ("row", "what breaks", "seed", "accepted", "repeated", "told again", "next completion", "caught up")
    return _table(
        (*head, "verdict"),
        (_line(number, row) for number, row in rows),
    )


def mutations_table(told: dict[str, Any]) -> str:
    """A line for each seeded bug."""
    found = told.get("mutations", {})
    return _table(
        ("bug", "row", "what the checker says"),
        ((bug, each["row"], ", ".join(each["rules"]).lower().replace("_", " ")) for bug, each in found.items()),
    )


def _line(number: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        number,
        row["name"],
        str(row["seed"]),
        str(row["accepted"]),
        str(row["extra_executions"]),
        str(row["repeated_events"]),
        _seconds(row["recovery_seconds"]),
        _seconds(row["caught_up_seconds"]),
        "; ".join(row["violations"]) or "passed",
    )


def _seconds(by_fault: dict[str, float | None]) -> str:
    return ", ".join("–" if each is None else f"{each:.1f} s" for each in by_fault.values())


def _order(item: tuple[str, dict[str, Any]]) -> tuple[int, str]:
    digits = re.match(r"\d+", item[0])
    return (int(digits[0]) if digits else 0, item[0])


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_tables(page: str, told: dict[str, Any]) -> str:
    """`page` with what stands between its marks made anew."""
    for mark, table in (("rows", rows_table(told)), ("mutations", mutations_table(told))):
        page = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- end -->\n)",
            lambda found, table=table: f"{found[1]}{table}{found[2]}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), orjson.loads(REPORT.read_bytes())), encoding="utf-8")
