"""The only reader of the environment: what it sets, as `Settings`."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline.settings import InvalidSettings, Settings
from pipeline.variables import Assignment, assignments, variable
from schemas.problems import Problem, problems


def load(variables: Mapping[str, str] | None = None) -> Settings:
    """Read the environment once. Raises `InvalidSettings`."""
    found, wrong = assignments(os.environ if variables is None else variables, _fields())
    values: dict[str, dict[str, str]] = {}
    for each in found:
        try:
            values.setdefault(each.room, {})[each.field] = _text(each)
        except (OSError, ValueError) as error:
            wrong.append(f"{each.name}: cannot read {each.text}: {error}")
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong.extend(_line(problem) for problem in problems(error))
    if wrong:
        raise InvalidSettings("\n".join(wrong))
    return settings


def _fields() -> dict[str, tuple[str, str]]:
    """Every field by the name of its variable."""
    return {
        variable(room, field): (room, field)
        for room, settings in Settings.model_fields.items()
        for field in type(settings.default).model_fields
    }


def _text(assignment: Assignment) -> str:
    """Editors end a file with a newline that is no part of a secret."""
    if not assignment.in_file:
        return assignment.text
    return Path(assignment.text).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")


def _line(problem: Problem) -> str:
    """A rule that joins several fields of a room is told as one of the whole room; one that joins rooms names them."""
    if not problem.path:
        return problem.sentence
    name = variable(*problem.path[:2]) if len(problem.path) > 1 else variable(*problem.path, "*")
    return f"{name}: {problem.sentence}"
