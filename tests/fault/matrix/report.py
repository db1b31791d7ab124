"""What the rows cost, for machines: `build/faults.json`, a key for each row. `docs/reliability.py` reads it."""

from dataclasses import asdict
from pathlib import Path

import orjson

from tests.fault.matrix.play import Outcome

REPORT = Path(__file__).resolve().parents[3] / "build" / "faults.json"


def note(outcome: Outcome, report: Path = REPORT) -> None:
    """Write down how a row ended, in place of how it ended before."""
    told = orjson.loads(report.read_bytes()) if report.is_file() else {}
    told[outcome.row.number] = {
        "name": outcome.row.name,
        "seed": outcome.seed,
        "seconds": round(outcome.seconds, 1),
        "waste_limit": outcome.row.waste,
        "violations": outcome.violations,
        **asdict(outcome.cost),
    }
    report.parent.mkdir(exist_ok=True)
    report.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def note_caught(mutation: str, row: str, rules: frozenset[str], report: Path = REPORT) -> None:
    """Write down which rules a seeded bug has violated."""
    told = orjson.loads(report.read_bytes()) if report.is_file() else {}
    told.setdefault("mutations", {})[mutation] = {"row": row, "rules": sorted(rules)}
    report.parent.mkdir(exist_ok=True)
    report.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
