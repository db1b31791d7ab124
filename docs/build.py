"""Write the parts of docs/ that follow from the code, or check that they are current: `python -m docs.build [--check]`.

`settings.md`, `failures.md` and `models.md` are made whole; in `events.md` only what stands between marks is.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from docs.models import models_page
from pipeline.settings import Settings
from pipeline.variables import variable
from schemas.examples import records
from schemas.failures import FAILURES, FailureCode, FailureKind
from schemas.remarks import REMARKS, Remark

FOLDER = Path(__file__).parent

SETTINGS_HEAD = """# Settings

Every setting is an environment variable. With `_FILE` after its name the value is read from that file, which is how
secrets are mounted. An empty value counts as unset, case is forgiven, and a variable that begins with `UPSCALE_` and is
no setting keeps the program from starting. Lists are written `a,b` or as a JSON array. All mistakes are told at once, a
line each, with exit code 1.

Made from `pipeline/settings.py` by `python -m docs.build`.
"""

FAILURES_HEAD = """# Why a job fails

`upscale.failed` carries one of these codes. Codes never change their meaning; new ones may come, so treat a word you do
not know by its `fault` and `retryable`.

- **fault** says who has to act: the `caller`, whoever runs the `source` of the picture, or us (`system`). Only the last
  is never charged and pages an operator.
- **retryable** says whether the same request may succeed later. Sending it again under the same `job_id` is safe.
- **HTTP** is what a synchronous answer says for it.

Made from `schemas/failures.py` by `python -m docs.build`.
"""

WARNINGS = re.compile(r"(<!-- warnings -->\n).*?(<!-- end -->\n)", re.DOTALL)
EXAMPLE = re.compile(r"(<!-- example: (?P<name>[a-z.-]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def settings_page() -> str:
    """The reference of all settings, a table for each room."""
    rooms = (_room(name, type(field.default)) for name, field in Settings.model_fields.items())
    return "\n".join([SETTINGS_HEAD, *rooms])


def _room(name: str, model: type[BaseModel]) -> str:
    schema = model.model_json_schema()["properties"]
    lines = (_setting(name, field, declared.default, schema[field]) for field, declared in model.model_fields.items())
    return _table(f"## {name}\n\n{model.__doc__}\n", ("variable", "default", "accepts", "meaning"), lines)


def _setting(room: str, field: str, default: object, schema: dict[str, Any]) -> tuple[str, ...]:
    return f"`{variable(room, field)}`", _default(default), _accepted(schema), schema["description"].replace("\n", " ")


def _default(value: object) -> str:
    match value:
        case None | ():
            return "unset"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{_number(value)}`"
        case _:
            return f"`{value}`"


def _accepted(schema: dict[str, Any]) -> str:
    """The choices, or the type with its bounds."""
    options: list[dict[str, Any]] = schema.get("anyOf", [schema])
    first = next(option for option in options if option.get("type") != "null")
    if "enum" in first:
        return " ".join(f"`{choice}`" for choice in first["enum"])
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "maximum": "≤"}
    bounds = [f"{sign} {_number(first[word])}" for word, sign in signs.items() if word in first]
    kind = {"array": "list", "string": "secret" if first.get("format") == "password" else "text"}.get(
        first["type"], first["type"]
    )
    return ", ".join([str(kind), *bounds])


def _number(value: float) -> str:
    return f"{value:_}" if isinstance(value, int) else f"{value:g}"


def failures_page() -> str:
    """The table of all failure codes, in path order."""
    rows = (_failure(code, FAILURES[code]) for code in FailureCode)
    return FAILURES_HEAD + _table("", ("code", "stage", "fault", "retryable", "HTTP", "meaning"), rows)


def _failure(code: FailureCode, kind: FailureKind) -> tuple[str, ...]:
    retryable = "yes" if kind.retryable else "no"
    return f"`{code}`", str(kind.stage or ""), str(kind.fault), retryable, str(kind.http_status), kind.meaning


def with_examples(page: str, examples: Mapping[str, object]) -> str:
    """`page` with the current example between each pair of marks."""

    def shown(found: re.Match[str]) -> str:
        text = orjson.dumps(examples[found["name"]], option=orjson.OPT_INDENT_2).decode()
        return f"{found[1]}```json\n{text}\n```\n{found[3]}"

    return EXAMPLE.sub(shown, page)


def with_warnings(page: str) -> str:
    """`page` with the table of all warnings between their marks."""
    table = _table("", ("warning", "meaning"), ((f"`{remark}`", REMARKS[remark]) for remark in Remark))
    return WARNINGS.sub(lambda found: f"{found[1]}{table.lstrip()}{found[2]}", page)


def pages(folder: Path = FOLDER) -> dict[str, str]:
    """File name -> what it should hold."""
    events = (folder / "events.md").read_text(encoding="utf-8")
    return {
        "settings.md": settings_page(),
        "failures.md": failures_page(),
        "models.md": models_page(),
        "events.md": with_warnings(with_examples(events, records())),
    }


def stale(folder: Path = FOLDER) -> Iterator[str]:
    """Names of the pages that do not hold what they should."""
    for name, text in pages(folder).items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield name


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Exit code 0 when current or written, 1 when `--check` found a difference."""
    found = list(stale(folder))
    if "--check" not in arguments:
        wanted = pages(folder)
        for name in found:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        return 0
    for name in found:
        sys.stderr.write(f"docs/{name}: not current; run python -m docs.build\n")
    return 1 if found else 0


def _table(head: str, columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([head, *(f"| {' | '.join(cells)} |" for cells in lines)]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
