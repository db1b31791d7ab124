"""Values are shown as a person can read them, and never at length."""

import pytest

from schemas.problems import Problem, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.5, "0.5"),
        ("a", "'a'"),
        ("a" * 100, repr("a" * 100)),
        ("a" * 101, "101 characters"),
        ([1, 2], "an array of 2"),
        ((), "an array of 0"),
        ({"a": 1}, "an object"),
    ],
)
def test_shown_is_one_short_line(value: object, text: str) -> None:
    """Containers and long texts are described: they may hold a picture, a secret, or a thousand brackets."""
    assert shown(value) == text


def test_problem_names_its_field_from_the_outside_in() -> None:
    """As a caller would write it."""
    assert Problem(("options", "scale"), "is required").field == "options.scale"
